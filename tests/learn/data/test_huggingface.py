from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.data import huggingface
from edgekd.learn.formats.encoded_images import EncodedImages
from tests import data_example
from tests import photo_example
from tests.data_example import checked

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 3), dtype=np.uint8)
LABELS = [0, 1, 0, 1, 1, 0]


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def made_by_datasets() -> Any:
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        image=datasets.Image(), label=datasets.ClassLabel(names=["cat", "dog"])
    )
    columns = {"image": [{"bytes": png(p), "path": None} for p in PIXELS], "label": LABELS}
    return datasets.Dataset.from_dict(columns, features=features)


def table(path: Path, **columns: list[Any]) -> str:
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return str(path)


def test_parquet_that_datasets_wrote(tmp_path: Path) -> None:
    data = made_by_datasets()
    data.to_parquet(tmp_path / "train-00000-of-00001.parquet")
    data.select([0, 1]).to_parquet(tmp_path / "test-00000-of-00001.parquet")
    got = checked(huggingface.read(reference=str(tmp_path)), "hf")
    assert got.classes == ("cat", "dog")
    assert np.array_equal(got.train.images, PIXELS)
    assert got.train.labels.tolist() == LABELS
    assert got.test is not None
    assert got.test.labels.tolist() == LABELS[:2]
    assert got.validation is None
    names = [path.name for path in huggingface.files(reference=str(tmp_path))]
    assert names == ["test-00000-of-00001.parquet", "train-00000-of-00001.parquet"]
    assert huggingface.pins(reference=str(tmp_path)) == {}
    assert (
        len(data_example.opened(huggingface.read(reference=str(tmp_path), limit=2)).train.labels)
        == 2
    )
    assert data_example.opened(
        huggingface.read(reference=str(tmp_path), size=2)
    ).train.images.shape == (6, 2, 2, 3)


def test_a_folder_that_datasets_saved(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    data = made_by_datasets()
    both = datasets.DatasetDict({"train": data, "validation": data.select([0, 1])})
    both.save_to_disk(tmp_path / "saved")
    got = checked(huggingface.read(reference="saved", data_dir=tmp_path), "hf")
    assert np.array_equal(got.train.images, PIXELS)
    assert got.validation is not None
    assert got.classes == ("cat", "dog")


def test_one_file_with_nested_lists_and_text_labels(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", pixels=PIXELS[..., 0].tolist(), kind=["dog", "cat"] * 3)
    got = data_example.opened(
        huggingface.read(reference=path, image_column="pixels", label_column="kind", channels=1)
    )
    assert np.array_equal(got.train.images, PIXELS[..., :1])
    assert got.classes == ("cat", "dog")
    assert got.train.labels.tolist() == [1, 0] * 3


def test_a_split_is_chosen_by_name(tmp_path: Path) -> None:
    for name in ("fold1", "fold2"):
        table(tmp_path / f"{name}-0.parquet", image=PIXELS.tolist(), label=LABELS)
    got = data_example.opened(
        huggingface.read(reference=str(tmp_path), train_split="fold2", test_split="fold1")
    )
    assert got.test is not None
    with pytest.raises(InputError, match="got no split 'train', want one of: fold1, fold2"):
        data_example.opened(huggingface.read(reference=str(tmp_path)))


@pytest.mark.parametrize(
    ("image", "label", "message"),
    [
        ({"bytes": None, "path": "/etc/passwd"}, 0, "row 0: got an image without its bytes"),
        ({"bytes": b"no image", "path": None}, 0, "row 0: got no image"),
        (b"\x89PNG\r\n\x1a\n", 0, "row 0: got (a bad|no) image"),
        ([[0, 256], [0, 0]], 0, "got pixels 0 to 256"),
        ([[0.5, 0.5]], 0, "got no image"),
        ([[1, 2], [3]], 0, "got no image"),
        ("/etc/passwd", 0, "got no image"),
        (None, 0, "got no image"),
        ([[1, 2]], None, "without a label"),
        ([[1, 2]], 0.5, "labels of type float64"),
        ([[1, 2]], float("nan"), "NaN"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, image: Any, label: Any, message: str) -> None:
    path = table(tmp_path / "a.parquet", image=[image], label=[label])
    with pytest.raises(InputError, match=message):
        data_example.opened(huggingface.read(reference=path, channels=1))


def test_an_empty_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train split: got no rows"):
        data_example.opened(
            huggingface.read(reference=table(tmp_path / "a.parquet", image=[], label=[]))
        )


def test_the_hub_is_asked_with_leave_only(tmp_path: Path) -> None:
    for reading in (huggingface.files, huggingface.pins, huggingface.read):
        with pytest.raises(InputError, match="needs leave") as caught:
            reading(reference="someone/something")
        assert caught.value.hint == "give --allow-download"
    with pytest.raises(InputError, match="got nothing at"):
        huggingface.files(reference="missing.parquet", allow_download=True)
    with pytest.raises(InputError, match="got no .parquet or .arrow file"):
        huggingface.files(reference=str(tmp_path))


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """A stand-in for the network: the client's functions, answering from memory."""
    datasets = pytest.importorskip("datasets")
    import huggingface_hub

    calls: list[tuple[Any, ...]] = []
    api = SimpleNamespace(dataset_info=lambda name: SimpleNamespace(sha="c0ffee"))

    def load(name: str, subset: str | None, **options: Any) -> Any:
        calls.append((name, subset, options))
        data = made_by_datasets()
        return data.to_iterable_dataset() if options["streaming"] else data

    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: api)
    monkeypatch.setattr(datasets, "get_dataset_split_names", lambda *_, **__: ["train", "test"])
    monkeypatch.setattr(datasets, "load_dataset", load)
    # Only our own decoder, with its limits, may see the bytes.
    monkeypatch.setattr(datasets.Image, "decode_example", None)
    return calls


@pytest.mark.parametrize("streaming", [True, False])
def test_a_name_on_the_hub(hub: list[tuple[Any, ...]], streaming: bool) -> None:
    got = data_example.opened(
        huggingface.read(
            reference="someone/something", allow_download=True, streaming=streaming, limit=4
        )
    )
    assert np.array_equal(got.train.images, PIXELS[:4])
    assert got.classes == ("cat", "dog")
    want = {"split": "train", "revision": "c0ffee", "streaming": streaming}
    assert hub[0] == ("someone/something", None, want)
    pins = huggingface.pins(reference="someone/something", allow_download=True)
    assert pins == {"hub:someone/something": "c0ffee"}
    assert huggingface.files(reference="someone/something", allow_download=True) == []
    with pytest.raises(InputError, match="got no column 'img', want one of: image, label"):
        data_example.opened(
            huggingface.read(reference="a/b", allow_download=True, image_column="img")
        )


def test_a_hub_that_fails_is_the_machines_error(
    hub: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    class Failing:
        features = made_by_datasets().features

        def cast_column(self, *_: Any) -> Failing:
            return self

        def __iter__(self) -> Iterator[Any]:
            raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: Failing())
    with pytest.raises(MachineError, match="no usable answer: no route"):
        data_example.opened(huggingface.read(reference="someone/something", allow_download=True))


def test_broken_rows_are_left_out_and_listed_if_asked(tmp_path: Path) -> None:
    images = [[[1, 2]], b"no image", [[3, 4]], None]
    encoded = [png(np.array(i, np.uint8)) if isinstance(i, list) else i for i in images]
    path = table(tmp_path / "a.parquet", image=encoded, label=[0, 1, 1, 0])
    got = data_example.opened(huggingface.read(reference=path, channels=1, on_broken="skip"))
    assert got.train.images[..., 0].tolist() == [[[1, 2]], [[3, 4]]]
    assert got.train.labels.tolist() == [0, 1]
    assert [line.partition(":")[0].rpartition(" ")[2] for line in got.skipped] == ["1", "3"]


def test_columns_of_other_names_are_told_and_said(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", img=[png(p) for p in PIXELS], fine_label=LABELS, id=LABELS)
    source = huggingface.read(reference=path)
    assert checked(source, "hf").train.labels.tolist() == LABELS
    assert source.notes == ("images in column img, labels in fine_label",)
    both = table(tmp_path / "b.parquet", img=[png(PIXELS[0])], photo=[png(PIXELS[0])], label=[0])
    with pytest.raises(InputError, match="img, photo, which could all be the image") as fault:
        huggingface.read(reference=both)
    assert fault.value.hint.startswith("image_column: img")


def test_photographs_of_any_size_stay_encoded(tmp_path: Path) -> None:
    photos = [
        photo_example.encode(photo_example.make_photo(n, photo_example.SIZES[n % 4]))
        for n in range(6)
    ]
    images = [{"bytes": data, "path": None} for data in photos]
    reference = table(tmp_path / "a.parquet", image=images, label=LABELS)
    words: dict[str, Any] = {"reference": reference, "size": 16, "resize": 18}
    got, plain = (
        data_example.opened(huggingface.read(stored=stored, **words))
        for stored in ("encoded", "pixels")
    )
    assert isinstance(got.train.images, EncodedImages)
    assert [row.tobytes() for row in got.train.images.encoded] == photos
    assert np.array_equal(got.train.images[:], plain.train.images)
    assert got.train.labels.tolist() == LABELS
    images[2]["bytes"] = None
    reference = table(tmp_path / "b.parquet", image=images, label=LABELS)
    words |= {"reference": reference, "stored": "encoded"}
    with pytest.raises(InputError, match=r"b\.parquet, row 2: got an image without its bytes"):
        huggingface.read(**words)
    got = data_example.opened(huggingface.read(on_broken="skip", **words))
    assert got.train.labels.tolist() == [0, 1, 1, 1, 0] and len(got.skipped) == 1
    words["reference"] = table(tmp_path / "c.parquet", image=[photos[0], b"no image"], label=[0, 1])
    got = data_example.opened(huggingface.read(**words))
    with pytest.raises(InputError, match=r"c\.parquet, row 1: got no image"):
        got.train.images[:]

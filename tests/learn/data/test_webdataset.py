from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.learn.data import webdataset
from edgekd.learn.data.recognition import recognize_source
from edgekd.learn.formats.encoded_images import EncodedImages
from tests import data_example
from tests import photo_example


def write_shard(path: Path, first: int, count: int, **labels: object) -> dict[str, bytes]:
    """Photographs under the keys of their numbers; `labels` give a file of each by its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    photos = {}
    with tarfile.open(path, "w") as archive:
        for number in range(first, first + count):
            key = f"part/{number:05}"
            size = photo_example.SIZES[number % 4]
            photos[key] = photo_example.encode(photo_example.make_photo(number, size))
            files = {"jpg": photos[key]}
            for ending, make in labels.items():
                assert callable(make)
                files[ending] = str(make(number)).encode()
            for ending, data in files.items():
                member = tarfile.TarInfo(f"{key}.{ending}")
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return photos


def read(reference: object, **words: object) -> data_example.Opened:
    source = webdataset.read(reference=str(reference), size=16, **words)  # type: ignore[arg-type]
    return data_example.checked(source, "shards")


def test_shards_of_a_folder_name_their_split(tmp_path: Path) -> None:
    photos: dict[str, bytes] = {}
    for shard in range(2):
        photos |= write_shard(
            tmp_path / f"birds-train-{shard:03}.tar", 6 * shard, 6, cls=lambda n: n % 3
        )
    write_shard(tmp_path / "val" / "000.tar", 50, 3, cls=lambda n: n % 3)
    got = read(tmp_path, stored="encoded")
    assert got.classes == ("0", "1", "2") and got.train.labels.tolist() == [0, 1, 2] * 4
    assert isinstance(got.train.images, EncodedImages) and got.test is None
    encoded = got.train.images.encoded
    assert isinstance(encoded, RaggedRows)
    assert [row.tobytes() for row in encoded] == list(photos.values())
    plain = read(tmp_path, stored="pixels")
    assert np.array_equal(plain.train.images, got.train.images[:])
    assert plain.validation is not None and len(plain.validation.labels) == 3
    assert got.notes == ("3 shards; 3 classes; images: 12 train, 3 validation",)
    seen = data_example.opened(webdataset.outline(reference=str(tmp_path)))
    assert seen.train.labels.tolist() == plain.train.labels.tolist()
    sizes = webdataset.measure(reference=str(tmp_path))
    assert sizes is not None and (sizes.looked_at, sizes.side) == (12, 32)
    assert (sizes.smallest, sizes.largest) == ((33, 33), (64, 48))
    with pytest.raises(InputError, match="train-000.tar, 'part/00001.jpg': got 30 x 50") as caught:
        webdataset.read(reference=str(tmp_path))
    assert caught.value.hint == "set data.source.size, for example size: 32"
    assert recognize_source(tmp_path).text == f"webdataset:{tmp_path}"
    assert recognize_source(tmp_path / "val" / "000.tar").source == "webdataset"
    assert [p.name for p in webdataset.files(reference=str(tmp_path))] == [
        *("birds-train-000.tar", "birds-train-001.tar", "000.tar")
    ]


def test_a_range_of_shards_and_labels_as_names_in_json(tmp_path: Path) -> None:
    names = ("jay", "owl")

    def label(number: int) -> str:
        return json.dumps({"width": 3, "label": names[number % 2], "fine": number % 4})

    for shard in range(9, 12):
        write_shard(tmp_path / f"b-{shard:02}.tar", 4 * shard, 4, json=label)
    got = read(tmp_path / "b-{09..11}.tar")
    assert got.classes == names and len(got.train.labels) == 12
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\n")
    fine = {"label_key": "fine", "classes": "names.txt", "data_dir": tmp_path}
    got = read("b-{09..10}.tar", **fine)
    assert got.classes == tuple("abcd") and got.train.labels.tolist() == [0, 1, 2, 3] * 2
    assert webdataset.files(reference="b-09.tar", classes="names.txt", data_dir=tmp_path)[1:] == [
        tmp_path / "names.txt"
    ]
    with pytest.raises(InputError, match=r"b-12\.tar: got nothing"):
        read(tmp_path / "b-{09..12}.tar")
    (tmp_path / "names.txt").write_text("a\n")
    with pytest.raises(InputError, match="classes: got 1 names, want 4"):
        read("b-{09..10}.tar", **fine)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({}, r"a\.tar, 'part/00000': got the files jpg, want one of the label: cls or json or txt"),
        ({"json": lambda n: "{"}, "got a label that is no text or JSON"),
        ({"json": lambda n: '{"id": 3}'}, "got 'None', want a label"),
        ({"cls": lambda n: -n}, "got the labels -3 to 0, want names, or numbers from 0"),
        ({"txt": lambda n: "owl" if n else 3}, "and texts, want names, or numbers"),
        ({"cls": lambda n: ""}, "got '', want a label"),
    ],
)
def test_labels_that_name_no_class_are_refused(
    tmp_path: Path, labels: dict[str, object], message: str
) -> None:
    write_shard(tmp_path / "a.tar", 0, 4, **labels)
    with pytest.raises(InputError, match=message):
        read(tmp_path / "a.tar")


def test_a_class_that_training_lacks_and_a_broken_image_are_named_in_their_shard(
    tmp_path: Path,
) -> None:
    write_shard(tmp_path / "train.tar", 0, 4, cls=lambda n: n % 2)
    write_shard(tmp_path / "val.tar", 4, 4, cls=lambda n: n % 4)
    with pytest.raises(InputError, match=r"val\.tar, 'part/00006\.jpg': got the label 2"):
        read(tmp_path)
    write_shard(tmp_path / "val.tar", 4, 4, cls=lambda n: n % 2)
    data = bytearray((tmp_path / "train.tar").read_bytes())
    at = data.index(b"\xff\xd8", 2000)
    data[at : at + 8] = bytes(8)
    (tmp_path / "train.tar").write_bytes(data)
    with pytest.raises(InputError, match=r"train\.tar, 'part/0000.\.jpg': got no image"):
        read(tmp_path)
    got = read(tmp_path, on_broken="skip")
    assert len(got.train.labels) == 3 and len(got.skipped) == 1

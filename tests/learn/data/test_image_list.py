from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.errors import InputError
from edgekd.learn.data import image_list
from edgekd.learn.formats.encoded_images import EncodedImages
from tests.data_example import checked


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pics").mkdir()
    for i in range(6):
        Image.new("RGB", (4, 4), (i, i, i)).save(tmp_path / "pics" / f"{i}.png")
    return tmp_path


def write(folder: Path, *lines: str, name: str = "list.csv") -> str:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_columns_classes_and_splits_are_told_by_their_names(folder: Path) -> None:
    rows = [
        f"pics/{i}.png;{'ab'[i % 2]};{s}" for i, s in enumerate(["Train"] * 4 + ["val", "testing"])
    ]
    path = write(folder, "\ufeffFilename;Species;Split", *rows)
    source = image_list.read(reference=path)
    got = checked(source, "list")
    assert got.classes == ("a", "b") and got.train.labels.tolist() == [0, 1, 0, 1]
    assert got.train.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert got.validation is not None and got.test is not None
    assert source.notes == (
        "files in column Filename, labels in Species, splits in Split; 2 classes: a, b; images: 4 train, "
        "1 validation, 1 test",
    )
    assert [each.name for each in image_list.files(reference=path)][:2] == ["list.csv", "0.png"]


def test_a_json_list_and_json_lines_are_the_same_list(folder: Path) -> None:
    rows = [{"image": f"pics/{i}.png", "class": i % 3} for i in range(6)]
    whole = write(folder, json.dumps(rows), name="list.json")
    lines = write(folder, *map(json.dumps, rows), name="list.jsonl")
    one, other = (checked(image_list.read(reference=each), "list") for each in (whole, lines))
    assert one.classes == other.classes == ("0", "1", "2")
    assert (one.train.images == other.train.images).all()


def test_an_outline_has_the_labels_without_the_pixels(folder: Path) -> None:
    path = write(folder, "file,label", "pics/0.png,a", "pics/1.png,b")
    got = checked(image_list.outline(reference=path), "list")
    assert got.train.images.shape == (2, 1, 1, 3) and got.train.labels.tolist() == [0, 1]


def test_rows_without_a_label_are_left_out_and_listed_if_asked(folder: Path) -> None:
    path = write(
        folder, "file,label", "pics/0.png,a", "pics/1.png,nan", "pics/2.png,", "pics/3.png,b"
    )
    source = image_list.read(reference=path, on_broken="skip")
    assert checked(source, "list").classes == ("a", "b")
    assert [line.partition(": ")[2] for line in source.skipped] == [
        "label: got 'nan', which says that there is none, want a label",
        "label: got nothing, want a label",
    ]
    assert len(image_list.files(reference=path, on_broken="skip")) == 3


@pytest.mark.parametrize("place", ["../pics/{}.png", "{here}/pics/{}.png"])
def test_images_outside_the_folder_of_the_list_are_named_as_the_reason(
    folder: Path, place: str
) -> None:
    (folder / "list").mkdir()
    rows = [f"{place.format(i, here=folder)},{i}" for i in range(3)]
    path = write(folder / "list", "file,label", *rows)
    for said in ("refuse", "skip"):
        with pytest.raises(InputError, match="want a file below the list's folder") as caught:
            image_list.outline(reference=path, on_broken=said)
        assert caught.value.hint.startswith("put the list into a folder that holds the images")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["file,label", "pics/0.png,a", "pics/9.png,a"], "line 3: got .*want a file that is there"),
        (["file,label", "../x.png,a"], "want a file"),
        (["file,path,label", "pics/0.png,pics/0.png,a"], "file, path, which could all be it"),
        (["file,label,class", "pics/0.png,a,b"], "label, class, which could all be it"),
        (["a,b", "1,2"], "file: got the columns a, b; none that could be it"),
        (["pics/0.png,1", "pics/1.png,2"], "want the names of the columns"),
        (["file,label", "pics/0.png"], "line 2: got 1 cells, want 2"),
        (["file,label", "pics/0.png,"], "label: got nothing in this column"),
        (
            ["file,label", "pics/0.png,a", "pics/1.png,NaN"],
            "line 3: label: got 'NaN', which says that",
        ),
        (["file,label,split", "pics/0.png,a,train", "pics/1.png,b,test"], "line 3: label: got 'b'"),
        (["file,label"], "got no rows"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(
    folder: Path, lines: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        image_list.read(reference=write(folder, *lines))


def test_a_broken_image_is_skipped_where_that_is_said(folder: Path) -> None:
    (folder / "pics/0.png").write_bytes(b"no image")
    path = write(folder, "file,label", *(f"pics/{i}.png,{'ab'[i % 2]}" for i in range(6)))
    with pytest.raises(InputError, match=r"list\.csv, line 2: got no image"):
        image_list.read(reference=path)
    source = image_list.read(reference=path, on_broken="skip")
    assert len(source.splits["train"]["labels"]) == 5 and "line 2" in source.skipped[0]


def test_other_sizes_are_refused_with_one_that_fits(folder: Path) -> None:
    Image.new("RGB", (100, 80)).save(folder / "pics/0.png")
    Image.new("RGB", (200, 90)).save(folder / "pics/1.png")
    path = write(folder, "file,label", "pics/0.png,a", "pics/1.png,b")
    with pytest.raises(InputError, match="got 200 x 90") as fault:
        image_list.read(reference=path)
    assert "size: 64" in fault.value.hint


def test_images_may_stay_encoded(folder: Path) -> None:
    path = write(folder, "file,label", *(f"pics/{i}.png,{'ab'[i % 2]}" for i in range(6)))
    got, plain = (
        image_list.read(reference=path, size=3, resize=4, stored=stored).splits["train"]
        for stored in ("encoded", "pixels")
    )
    assert isinstance(got["images"], EncodedImages)
    assert got["images"].encoded.row(2).tobytes() == (folder / "pics/2.png").read_bytes()
    assert np.array_equal(got["images"][:], np.asarray(plain["images"]))
    (folder / "pics/0.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"list\.csv, line 2: got no image"):
        image_list.read(reference=path, size=3, stored="encoded").splits["train"]["images"][:1]

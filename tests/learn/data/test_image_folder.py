from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.errors import InputError
from edgekd.learn.data import image_folder
from tests import data_example
from tests.data_example import checked


def put(path: Path, value: int, size: tuple[int, int] = (4, 4)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    for number, name in enumerate(("dog/b.png", "dog/a.bmp", "cat/x.webp", "cat/deep/y.PNG")):
        put(root / name, 10 * number)
    (root / "cat" / ".hidden").touch()
    (root / "cat" / "Thumbs.db").touch()
    return root


def test_classes_and_files_come_in_the_order_of_their_names(folder: Path) -> None:
    got = checked(image_folder.read(reference=str(folder)), "folder")
    assert got.classes == ("cat", "dog")
    assert got.train.labels.tolist() == [0, 0, 1, 1]
    assert got.train.images[:, 0, 0, 0].tolist() == [30, 20, 10, 0]
    assert got.train.images.shape == (4, 4, 4, 3)
    assert got.validation is None
    paths = image_folder.files(reference=str(folder))
    assert [path.name for path in paths] == ["y.PNG", "x.webp", "a.bmp", "b.png"]


def test_a_path_may_stand_in_the_data_folder(folder: Path) -> None:
    assert len(image_folder.files(reference="set", data_dir=folder.parent)) == 4


def test_splits_are_sub_folders(tmp_path: Path) -> None:
    for split, value in (("train", 1), ("val", 2), ("test", 3)):
        for name in ("cat", "dog"):
            put(tmp_path / split / name / "a.png", value)
    got = checked(image_folder.read(reference=str(tmp_path), channels=1, size=2), "folder")
    assert got.validation is not None
    assert got.test is not None
    for split_, value in ((got.train, 1), (got.validation, 2), (got.test, 3)):
        assert split_.images.tolist() == np.full((2, 2, 2, 1), value).tolist()
        assert split_.labels.tolist() == [0, 1]
    put(tmp_path / "test" / "eel" / "a.png", 0)
    with pytest.raises(InputError, match="test/eel: got a class that is not in training"):
        image_folder.files(reference=str(tmp_path))


@pytest.mark.parametrize("reading", [image_folder.files, image_folder.read])
class TestBadFolders:
    def refuse(self, reading: object, folder: Path, message: str) -> None:
        assert callable(reading)
        with pytest.raises(InputError, match=message):
            reading(reference=str(folder))

    def test_missing(self, reading: object, tmp_path: Path) -> None:
        self.refuse(reading, tmp_path / "none", "got nothing there")

    def test_a_file(self, reading: object, folder: Path) -> None:
        self.refuse(reading, folder / "dog" / "b.png", "want a folder")

    def test_no_classes(self, reading: object, tmp_path: Path) -> None:
        self.refuse(reading, tmp_path, "got no class folders")

    def test_an_empty_class(self, reading: object, folder: Path) -> None:
        (folder / "eel").mkdir()
        self.refuse(reading, folder, "eel: got no images")

    def test_an_image_of_a_format_that_is_not_read(self, reading: object, folder: Path) -> None:
        (folder / "dog" / "scan.tif").touch()
        self.refuse(reading, folder, r"dog/scan\.tif: got an image called \.tif, want \.bmp")

    def test_an_image_without_a_suffix(self, reading: object, folder: Path) -> None:
        (folder / "dog" / "b.png").rename(folder / "dog" / "b")
        self.refuse(reading, folder, r"dog/b: got an image called without a suffix")

    def test_a_link_to_a_file_outside(self, reading: object, folder: Path) -> None:
        put(folder.parent / "outside.png", 0)
        (folder / "dog" / "c.png").symlink_to("../../outside.png")
        self.refuse(reading, folder, r"dog/c\.png: got a link out of")

    def test_a_link_to_a_folder_outside(self, reading: object, folder: Path) -> None:
        put(folder.parent / "outside" / "a.png", 0)
        (folder / "eel").symlink_to(folder.parent / "outside")
        self.refuse(reading, folder, "eel: got a link out of")

    def test_a_loop_of_links(self, reading: object, folder: Path) -> None:
        (folder / "dog" / "loop").symlink_to(folder)
        self.refuse(reading, folder, "dog/loop: got a link to a folder")


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"no image", "got no image"), (b"\x89PNG\r\n\x1a\n\0\0", "got (a bad|no) image")],
)
def test_a_broken_image_is_named(folder: Path, data: bytes, message: str) -> None:
    (folder / "dog" / "c.png").write_bytes(data)
    with pytest.raises(InputError, match=rf"dog/c\.png: {message}"):
        data_example.opened(image_folder.read(reference=str(folder)))


def test_a_pipe_does_not_hang(folder: Path) -> None:
    os.mkfifo(folder / "dog" / "c.png")
    with pytest.raises(InputError, match=r"dog/c\.png: .*no regular file"):
        data_example.opened(image_folder.read(reference=str(folder)))


def test_a_link_inside_the_folder_is_followed(folder: Path) -> None:
    (folder / "dog" / "c.png").symlink_to("b.png")
    assert len(data_example.opened(image_folder.read(reference=str(folder))).train.labels) == 5


def test_sizes_must_agree_or_be_set(folder: Path) -> None:
    put(folder / "dog" / "c.png", 0, (5, 4))
    with pytest.raises(InputError, match=r"dog/c\.png: got 5 x 4 pixels, want 4 x 4") as caught:
        data_example.opened(image_folder.read(reference=str(folder)))
    assert caught.value.hint == "set data.source.size, for example size: 32"
    assert data_example.opened(
        image_folder.read(reference=str(folder), size=3)
    ).train.images.shape == (5, 3, 3, 3)


def test_what_is_broken_is_left_out_and_listed_if_asked(folder: Path) -> None:
    (folder / "dog" / "c.png").write_bytes(b"no image")
    (folder / "dog" / "scan.tif").touch()
    whole = [path.name for path in image_folder.files(reference=str(folder), on_broken="skip")]
    assert whole == ["y.PNG", "x.webp", "a.bmp", "b.png", "c.png"]
    got = data_example.opened(image_folder.read(reference=str(folder), on_broken="skip"))
    assert got.train.labels.tolist() == [0, 0, 1, 1]
    assert got.train.images[:, 0, 0, 0].tolist() == [30, 20, 10, 0]
    assert [Path(line.partition(":")[0]).name for line in got.skipped] == ["scan.tif", "c.png"]
    with pytest.raises(InputError, match="got an image called") as caught:
        data_example.opened(image_folder.read(reference=str(folder)))
    assert "on_broken: skip" in caught.value.hint
    with pytest.raises(InputError, match="on_broken: got 'ignore'"):
        data_example.opened(image_folder.read(reference=str(folder), on_broken="ignore"))


@pytest.mark.parametrize("read", [image_folder.read, image_folder.outline])
def test_what_is_no_image_is_passed_over_and_counted(folder: Path, read: object) -> None:
    assert callable(read)
    for name in ("dog/notes.txt", "dog/.DS_Store", "cat/README", "cat/Thumbs.db", "cat/deep/a.pkl"):
        (folder / name).touch()
    source = read(reference=str(folder))
    assert len(source.splits["train"]["labels"]) == 4
    assert not source.skipped
    assert source.notes[0].endswith("; 3 other files passed over: README, a.pkl, notes.txt")
    assert len(image_folder.files(reference=str(folder))) == 4


def test_what_was_concluded_is_said(folder: Path) -> None:
    (note,) = data_example.opened(image_folder.read(reference=str(folder))).notes
    assert note == (
        "2 classes: cat, dog; no folders for splits; "
        "4 images in and below the class folders, 1 folder deeper at most"
    )


@pytest.mark.parametrize("place", ["dog/{}.png", "dog/{}/a.png", "{}/a.png"])
@pytest.mark.parametrize("name", ["a\x1b[2J", "a\nb", "a\u202eb", "a\udcff"])
@pytest.mark.parametrize("reading", [image_folder.files, image_folder.read])
def test_a_file_or_class_whose_name_cannot_be_shown(
    folder: Path, name: str, place: str, reading: object
) -> None:
    assert callable(reading)
    put(folder / place.format(name), 0)
    with pytest.raises(InputError, match="want text in UTF-8 without control characters") as caught:
        reading(reference=str(folder))
    assert str(caught.value).isprintable()


def test_an_empty_class_and_what_a_packer_left_are_passed_over_where_that_is_said(
    folder: Path,
) -> None:
    (folder / "eel").mkdir()
    (folder / "__MACOSX").mkdir()
    source = image_folder.read(reference=str(folder), on_broken="skip")
    assert source.fields["labels"].words["names"] == ("cat", "dog")
    assert source.skipped == (f"{folder / 'eel'}: got no images",)
    assert source.notes[0].startswith("2 classes without eel, of 3 classes: cat, dog, eel;")


def test_an_outline_counts_without_decoding(folder: Path) -> None:
    source = image_folder.outline(reference=str(folder))
    assert checked(source, "folder").train.labels.tolist() == [0, 0, 1, 1]
    (folder / "dog" / "a.bmp").write_bytes(b"no image")
    assert len(image_folder.outline(reference=str(folder), on_broken="skip").skipped) == 1
    with pytest.raises(InputError, match=r"a\.bmp: got a bad image"):
        image_folder.outline(reference=str(folder))

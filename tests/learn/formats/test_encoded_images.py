from __future__ import annotations

import errno
import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.learn.formats import encoded_images
from edgekd.learn.formats import image as image_format
from edgekd.learn.formats.encoded_images import EncodedImages
from edgekd.learn.formats.encoded_images import RaggedFiles
from edgekd.learn.formats.encoded_images import SpooledRows
from edgekd.learn.formats.encoded_images import choose_rows
from edgekd.learn.formats.encoded_images import whole_files
from edgekd.learn.formats.image import Part
from edgekd.learn.formats.image import Shape
from tests import photo_example

SHAPE = Shape(24, 3)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return photo_example.fill_folder(tmp_path / "photos", 4)


def test_rows_are_the_files_bytes_and_pieces_of_them(paths: list[Path]) -> None:
    rows = whole_files(paths)
    assert [row.tobytes() for row in rows] == [path.read_bytes() for path in paths]
    pieces = RaggedFiles(paths, np.array([[2, 3, 5], [0, 0, 2]], np.int64))
    assert pieces.lengths.tolist() == [5, 2]
    assert pieces.row(0).tobytes() == paths[2].read_bytes()[3:8]
    assert pieces[np.array([1, 0])].values[:2].tobytes() == b"\xff\xd8"
    paths[0].write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"0000\.jpg: got a file that became shorter"):
        pieces.row(1)
    paths[1].unlink()
    with pytest.raises(InputError, match=r"0001\.jpg: No such file"):
        whole_files(paths)


def test_rows_that_come_one_by_one_are_put_aside_in_a_file_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rows = SpooledRows(bytes([number]) * number for number in range(5))
    assert not list(tmp_path.iterdir())
    assert [row.tolist() for row in rows] == [[n] * n for n in range(5)]
    assert rows[np.array([3, 0, 1])].values.tolist() == [3, 3, 3, 1]
    assert len(SpooledRows([])) == 0

    def fail() -> Iterator[bytes]:
        yield b"data"
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(MachineError, match="cannot be written: No space left"):
        SpooledRows(fail())


@pytest.mark.parametrize("threads", [1, 3])
def test_they_look_like_an_array_of_what_decoding_gives(paths: list[Path], threads: int) -> None:
    got = EncodedImages(whole_files(paths), SHAPE, threads=threads)
    want = np.stack([image_format.decode(path.read_bytes(), SHAPE, "") for path in paths])
    assert got.shape == want.shape and got.ndim == want.ndim and got.dtype == want.dtype
    for which in (slice(None), slice(2, 5), np.array([7, 0, 7]), np.array([[1], [2]]), 3, -1):
        assert np.array_equal(got[which], want[which])
    some = choose_rows(got, np.array([5, 1, 6]))  # type: ignore[arg-type]
    assert isinstance(some, EncodedImages) and np.array_equal(some[1:], want[[1, 6]])


def test_a_broken_one_is_named_by_its_row_also_after_a_choice(paths: list[Path]) -> None:
    paths[5].write_bytes(paths[5].read_bytes()[:-200])
    paths[6].write_bytes(b"")
    images = EncodedImages(whole_files(paths), SHAPE, lambda at: f"photo {at}", threads=2)
    some = images.choose(np.array([6, 0, 5]))
    done: list[tuple[int, int]] = []
    found = list(some.find_broken(lambda *numbers: done.append(numbers)))
    assert [number for number, _ in found] == [0, 2] and done[-1] == (3, 3)
    assert str(found[0][1]).startswith("photo 6: got no image")
    assert str(found[1][1]).startswith("photo 5: got a bad image")
    with pytest.raises(InputError, match="photo 5"):
        images[4:6]


def test_a_file_beyond_the_limit_is_not_read(
    paths: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoded_images, "LIMIT_BYTES", 100)
    with pytest.raises(InputError, match=r"image 0: got \d+ bytes, want 100 at most"):
        EncodedImages(whole_files(paths), SHAPE)[0]


@pytest.mark.parametrize("turn", [1, 6])
def test_a_part_is_what_cutting_and_scaling_the_upright_image_gives(turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    photo = photo_example.make_photo(1, (60, 40))
    data = photo_example.encode(photo, "PNG", exif=exif)
    upright = photo.transpose(Image.Transpose.ROTATE_270) if turn == 6 else photo
    opened = image_format.EncodedImage(data, "here")
    assert opened.size == (upright.height, upright.width)
    want = upright.resize((10, 8), Image.Resampling.BILINEAR, box=(5, 7, 35, 29))
    got = opened.decode_part(Part(7, 5, 22, 30), (8, 10), 3)
    assert np.array_equal(got, np.asarray(want))


@pytest.mark.parametrize(("height", "reduction"), [(31, 1), (32, 2), (63, 2), (64, 4), (130, 8)])
def test_a_large_jpeg_is_read_smaller_but_never_below_the_goal(
    height: int, reduction: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = photo_example.make_photo(2, (500, 400))
    opened = image_format.EncodedImage(photo_example.encode(photo), "here")
    seen: list[tuple[int, int]] = []
    scale = image_format._scale

    def spy(image: Image.Image, *others: object) -> Image.Image:
        seen.append(image.size)
        return scale(image, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(image_format, "_scale", spy)
    part = Part(100, 50, height, height + 1)
    got = opened.decode_part(part, (16, 16), 3)
    assert seen == [(-(-500 // reduction), -(-400 // reduction))]
    box = (50, 100, 51 + height, 100 + height)
    full = Image.open(io.BytesIO(photo_example.encode(photo)))
    want = np.asarray(full.resize((16, 16), Image.Resampling.BILINEAR, box=box), int)
    assert np.abs(got.astype(int) - want).max() <= 6  # smooth colours: another way to the same


def test_the_middle_is_what_resize_and_center_crop_of_torchvision_give() -> None:
    # by its documentation: the shorter side becomes 20, the longer int(20 * 50 / 30); then round((33 - 16) / 2) = 8
    photo = photo_example.make_photo(3, (50, 30))
    small = photo.resize((33, 20), Image.Resampling.BILINEAR)
    want = np.asarray(small)[2:18, 8:24]
    got = image_format.decode(photo_example.encode(photo, "PNG"), Shape(16, 3, 20), "here")
    assert np.abs(got.astype(int) - want).max() <= 1  # one scaling of a part, rounded once
    assert image_format.shape_of(16, 3, "here", 20) == Shape(16, 3, 20)
    for size, resize in ((16, 15), (None, 20), (16, 9000)):
        with pytest.raises(InputError, match=f"here: resize: got {resize}, want"):
            image_format.shape_of(size, 3, "here", resize)

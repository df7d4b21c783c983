from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as pillow

from edgekd.bundle import images
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.fields.image import Image

GREY = Image(height=4, width=6, channels=1, mean=(0.5,), std=(0.25,))
COLOUR = Image(height=4, width=6, channels=3, mean=(0.5,) * 3, std=(0.25,) * 3)


def test_an_image_of_the_models_size_keeps_its_pixels(tmp_path: Path) -> None:
    pixels = np.arange(24, dtype=np.uint8).reshape(4, 6)
    pillow.fromarray(pixels).save(tmp_path / "a.png")
    (found,) = images.read_images(tmp_path / "a.png", GREY)
    assert (found.pixels == pixels[:, :, None]).all() and found.prepared == "read as grey"
    (found,) = images.read_images(tmp_path / "a.png", COLOUR)
    assert (found.pixels == pixels[:, :, None].repeat(3, 2)).all()


@pytest.mark.parametrize(("width", "height", "cut"), [(12, 8, False), (8, 8, True), (3, 2, False)])
def test_another_size_is_scaled_and_said(
    tmp_path: Path, width: int, height: int, cut: bool
) -> None:
    pillow.new("RGB", (width, height), (200, 100, 0)).save(tmp_path / "a.png")
    (found,) = images.read_images(tmp_path / "a.png", COLOUR)
    assert found.pixels.shape == (4, 6, 3) and (found.pixels == (200, 100, 0)).all()
    assert f"{width} x {height} scaled to 6 x 4 (bilinear)" in found.prepared
    assert ("sides cut off" in found.prepared) is cut


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_modes_become_the_models(tmp_path: Path, mode: str) -> None:
    name = "a.jpg" if mode == "CMYK" else "a.png"
    pillow.new(mode, (6, 4)).save(tmp_path / name)
    for field in (GREY, COLOUR):
        (found,) = images.read_images(tmp_path / name, field)
        assert found.pixels.shape == (4, 6, field.channels)
        assert found.pixels.dtype == np.uint8


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (1, 4, 6, 1), (5, 4, 6, 1)])
def test_arrays_are_taken_as_they_are(tmp_path: Path, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    np.save(tmp_path / "a.npy", array)
    found = images.read_images(tmp_path / "a.npy", GREY)
    assert (np.stack([one.pixels for one in found]) == array.reshape(-1, 4, 6, 1)).all()
    assert [one.prepared for one in found] == [""] * len(found)
    assert found[-1].name.endswith("a.npy[4]" if shape[0] == 5 else "a.npy")


def bomb(path: Path) -> None:
    """A PNG that claims 50,000 x 50,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">2I5B", 50_000, 50_000, 8, 0, 0, 0, 0)
    data = zlib.compress(b"\0" * 10_000)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def truncated(path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    pillow.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:-500])


def lying(path: Path) -> None:
    np.save(path, np.zeros((4, 6), np.uint8))
    path.write_bytes(path.read_bytes().replace(b"(4, 6)", b"(4, 9)"))


HOSTILE = {
    "bomb.png": bomb,
    "truncated.png": truncated,
    "truncated.jpg": truncated,
    "text.png": lambda path: path.write_text("no image"),
    "empty.png": lambda path: path.write_bytes(b""),
    "fifo.png": os.mkfifo,
    "missing.png": lambda path: None,
    "folder.png": lambda path: path.mkdir(),
    "script.svg": lambda path: path.write_text("<svg/>"),
    "objects.npy": lambda path: np.save(path, np.array([{}], object), allow_pickle=True),
    "lying.npy": lying,
    "floats.npy": lambda path: np.save(path, np.zeros((4, 6))),
    "other size.npy": lambda path: np.save(path, np.zeros((6, 4), np.uint8)),
    "none.npy": lambda path: np.save(path, np.zeros((0, 4, 6, 1), np.uint8)),
    "scalar.npy": lambda path: np.save(path, np.uint8(1)),
    "text.npy": lambda path: path.write_text("no array"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_image_is_wrong_input_in_one_line(tmp_path: Path, name: str) -> None:
    HOSTILE[name](tmp_path / name)
    with pytest.raises(InputError) as caught:
        images.read_images(tmp_path / name, GREY)
    assert "\n" not in caught.value.line() and name in str(caught.value)


def test_an_image_for_a_model_of_many_channels_is_refused(tmp_path: Path) -> None:
    pillow.new("L", (6, 4)).save(tmp_path / "a.png")
    many = Image(height=4, width=6, channels=2, mean=(0.5,) * 2, std=(0.25,) * 2)
    with pytest.raises(InputError, match=r"want \.npy"):
        images.read_images(tmp_path / "a.png", many)


def test_without_pillow_arrays_still_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    np.save(tmp_path / "a.npy", np.zeros((4, 6), np.uint8))
    assert len(images.read_images(tmp_path / "a.npy", GREY)) == 1
    with pytest.raises(MachineError) as caught:
        images.read_images(tmp_path / "a.png", GREY)
    assert caught.value.hint == "pip install 'edgekd[predict]'"


def test_a_grey_image_is_scaled_to_grey(tmp_path: Path) -> None:
    pillow.new("RGB", (12, 8), (90, 90, 90)).save(tmp_path / "a.png")
    (found,) = images.read_images(tmp_path / "a.png", GREY)
    assert found.pixels.shape == (4, 6, 1) and (found.pixels == 90).all()
    assert found.prepared == "read as grey, 12 x 8 scaled to 6 x 4 (bilinear)"


def test_up_to_ten_thousand_images_lie_in_one_array(tmp_path: Path) -> None:
    for count in (2, 10_000, 10_001):
        np.save(tmp_path / "a.npy", np.zeros((count, 4, 6, 1), np.uint8))
        if count > 10_000:
            with pytest.raises(InputError, match="up to 10000 of them"):
                images.read_images(tmp_path / "a.npy", GREY)
        else:
            names = [found.name for found in images.read_images(tmp_path / "a.npy", GREY)]
            assert names == [f"{tmp_path / 'a.npy'}[{n}]" for n in range(count)]


@pytest.mark.parametrize("channels", [2, 3])
def test_an_array_without_channels_is_for_grey_models_alone(tmp_path: Path, channels: int) -> None:
    several = Image(
        height=4, width=6, channels=channels, mean=(0.5,) * channels, std=(0.25,) * channels
    )
    np.save(tmp_path / "a.npy", np.zeros((4, 6), np.uint8))
    with pytest.raises(InputError, match=r"got uint8 \[4, 6\], want uint8 \[4, 6, "):
        images.read_images(tmp_path / "a.npy", several)
    for shape in ((4, 6, channels), (1, 4, 6, channels)):
        np.save(tmp_path / "a.npy", np.zeros(shape, np.uint8))
        assert len(images.read_images(tmp_path / "a.npy", several)) == 1


def test_an_image_file_is_read_up_to_a_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pillow.new("L", (6, 4)).save(tmp_path / "a.png")
    size_bytes = (tmp_path / "a.png").stat().st_size
    monkeypatch.setattr(images.image_format, "LIMIT_BYTES", size_bytes)
    assert len(images.read_images(tmp_path / "a.png", GREY)) == 1
    monkeypatch.setattr(images.image_format, "LIMIT_BYTES", size_bytes - 1)
    with pytest.raises(InputError, match=f"want {size_bytes - 1} at most"):
        images.read_images(tmp_path / "a.png", GREY)

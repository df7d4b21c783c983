from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from edgekd.errors import InputError
from edgekd.learn.formats.image import Shape
from edgekd.learn.formats.image import decode
from edgekd.learn.formats.image import need_same_size
from edgekd.learn.formats.image import shape_of

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (6, 8, 3), dtype=np.uint8)


def encoded(pixels: np.ndarray, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int = 8, colour: int = 0, data: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("form", "options"), [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True})]
)
def test_pixels_come_back(form: str, options: dict[str, object]) -> None:
    got = decode(encoded(PIXELS, form, **options), Shape(None, 3), "here")
    assert np.array_equal(got, PIXELS)


def test_jpeg_is_close() -> None:
    smooth = np.broadcast_to(np.arange(0, 160, 10, dtype=np.uint8)[:, None, None], (16, 16, 3))
    got = decode(encoded(smooth, "JPEG", quality=95), Shape(None, 3), "here")
    assert np.abs(got.astype(int) - smooth).max() < 6


def test_grey_and_colour_are_brought_to_the_wanted_channels() -> None:
    grey = decode(encoded(PIXELS[..., 0]), Shape(None, 3), "here")
    assert np.array_equal(grey, np.repeat(PIXELS[..., :1], 3, axis=2))
    luma = PIXELS @ np.array([0.299, 0.587, 0.114])  # ITU-R 601-2, as Pillow's manual says
    got = decode(encoded(PIXELS), Shape(None, 1), "here")
    assert got.shape == (6, 8, 1)
    assert np.abs(got[..., 0] - luma).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_other_modes_are_read(mode: str) -> None:
    file = io.BytesIO()
    image = Image.fromarray(PIXELS).convert(mode)
    image.save(file, "JPEG" if mode == "CMYK" else "PNG")
    assert decode(file.getvalue(), Shape(None, 3), "here").shape == (6, 8, 3)


def test_of_16_bits_the_upper_8_are_kept() -> None:
    deep = (PIXELS[..., 0].astype(np.uint16) << 8) + 77
    got = decode(encoded(deep), Shape(None, 3), "here")
    assert np.array_equal(got, np.repeat(PIXELS[..., :1], 3, axis=2))


def test_a_palette_with_transparency_is_read_without_a_warning() -> None:
    file = io.BytesIO()
    Image.fromarray(PIXELS).convert("P").save(file, "PNG", transparency=bytes(range(256)))
    assert decode(file.getvalue(), Shape(None, 3), "here").shape == (6, 8, 3)


def test_the_middle_is_cut_out() -> None:
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200
    got = decode(encoded(wide), Shape(10, 3), "here")
    assert got.shape == (10, 10, 3)
    assert (got == 200).all()
    assert decode(encoded(wide), Shape(5, 1), "here").shape == (5, 5, 1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (png(50_000, 50_000), "2500000000 pixels|50000 x 50000|exceeds limit"),
        (png(10_000, 10_000), "exceeds limit|10000 x 10000"),
        (png(9_000, 9_000), "9000 x 9000 pixels, want 67108864 at most"),
        (png(8, 8, data=b"\0" * 20), "got a bad image"),
        (encoded(PIXELS)[:-30], "got a bad image"),
        (encoded(np.tile(PIXELS, (20, 20, 1)), "JPEG")[:2000], "got a bad image"),
        (encoded(PIXELS, "GIF"), "got no image, want PNG, JPEG, BMP, WEBP"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "got no image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "got no image"),
        (b"", "got no image"),
    ],
    ids=[
        *("50000", "10000", "9000", "few-rows", "cut-png", "cut-jpeg"),
        *("gif", "eps", "svg", "empty"),
    ],
)
def test_hostile_images_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        decode(data, Shape(8, 3), "cat/1.png")
    assert str(caught.value).startswith("cat/1.png: got ")


def test_a_text_bomb_in_a_png_is_refused() -> None:
    bomb = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**28)))
    data = png(2, 2, data=bytes(6))
    with pytest.raises(InputError, match="got a bad image|got no image"):
        decode(data[:33] + bomb + data[33:], Shape(None, 1), "here")


def test_flipped_bytes_give_an_image_or_a_refusal() -> None:
    random = np.random.default_rng(1)
    for form in ("PNG", "JPEG", "BMP", "WEBP"):
        data = encoded(np.tile(PIXELS, (4, 4, 1)), form)
        for _ in range(100):
            damaged = bytearray(data)
            for at in random.integers(len(data), size=3):
                damaged[at] = random.integers(256)
            try:
                got = decode(bytes(damaged), Shape(8, 3), "here")
            except InputError:
                continue
            assert got.shape == (8, 8, 3)
            assert got.dtype == np.uint8


def test_sizes_must_agree() -> None:
    need_same_size(PIXELS, PIXELS, "b", "a")
    with pytest.raises(InputError, match="b: got 7 x 6 pixels, want 8 x 6 as in a"):
        need_same_size(PIXELS[:, 1:], PIXELS, "b", "a")


def test_a_shape_has_limits() -> None:
    assert shape_of(32, 3, "here") == Shape(32, 3)
    with pytest.raises(InputError, match="channels: got 2"):
        shape_of(32, 2, "here")
    with pytest.raises(InputError, match="size: got 5000"):
        shape_of(5000, 3, "here")


TURNS = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels[::-1, ::-1].transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels),
}
"""What a viewer does with stored pixels [H, W, C], by EXIF orientation (Exif 2.32, tag 0x0112)."""


@pytest.mark.parametrize("orientation", TURNS)
def test_a_photograph_is_turned_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(PIXELS, "PNG", exif=exif)
    assert np.array_equal(decode(data, Shape(None, 3), "photo"), TURNS[orientation](PIXELS))

"""One encoded image, from anybody, to pixels of a wanted size; Pillow decodes, within limits."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from typing import NamedTuple

import numpy as np

from edgekd import files as disk
from edgekd.errors import InputError
from edgekd.learn.source import need_package

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
FOREIGN_SUFFIXES = {".tif", ".tiff", ".gif", ".heic", ".heif", ".avif", ".dng", ".cr2", ".nef"}
"""Of images that no source reads."""
FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
LIMIT_BYTES = 2**28
"""Of the encoded image."""
LIMIT_PIXELS = 2**26
"""Of the decoded one (8,192 x 8,192); a small file can claim any number."""
_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}
_ORIENTATION, _SIDEWAYS = 0x0112, {5, 6, 7, 8}
"""EXIF's tag, and its values that change width and height."""
_TARGETS = {1: "L", 3: "RGB"}


class Shape(NamedTuple):
    """Size and channels that every image is brought to."""

    size: int | None
    """Height and width: scaled to cover a square, the middle cut out. None leaves them."""
    channels: int
    """1 (grey) or 3 (red, green, blue)."""


def shape_of(size: int | None, channels: int, where: str) -> Shape:
    """The wanted shape.

    Raises:
        InputError: for a number of channels other than 1 and 3, or a size above 4,096.
        MachineError: if Pillow is not installed.
    """
    if channels not in _TARGETS:
        raise InputError(f"{where}: channels: got {channels}, want 1 or 3")
    if size is not None and size > 4096:
        raise InputError(f"{where}: size: got {size}, want 4096 at most")
    need_package("PIL", "learn", where)
    return Shape(size, channels)


def decode(data: bytes, shape: Shape, where: str) -> np.ndarray:
    """uint8 [H, W, C], upright as its EXIF orientation says; transparency is dropped.

    Takes at most 12 bytes of memory a pixel beside `data`.

    Raises:
        InputError: if `data` is none of `FORMATS`, broken, too large or of more than 8 bits.
    """
    from PIL import Image
    from PIL import UnidentifiedImageError

    if len(data) > LIMIT_BYTES:
        raise InputError(f"{where}: got {len(data)} bytes, want {LIMIT_BYTES} at most")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                width, height = image.size
                if width * height > LIMIT_PIXELS:
                    raise ValueError(f"{width} x {height} pixels, want {LIMIT_PIXELS} at most")
                if image.mode not in _MODES:
                    raise ValueError(f"pixels of mode {image.mode}, want 8 bits a channel")
                pixels = np.asarray(_fitted(image, shape))
    except UnidentifiedImageError:
        raise InputError(f"{where}: got no image, want {', '.join(FORMATS)}") from None
    except Exception as error:  # a decoder fed with hostile bytes raises anything
        raise InputError(f"{where}: got a bad image: {error}") from error
    return pixels.reshape(*pixels.shape[:2], shape.channels)


def read_size(path: Path) -> tuple[int, int] | None:
    """Width and height of an image as it is held upright, from its head alone; None if it is not one that `decode` reads."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with disk.open_regular(path) as file, Image.open(file, formats=FORMATS) as image:
                if image.mode not in _MODES:
                    return None
                turned = image.getexif().get(_ORIENTATION, 1) in _SIDEWAYS
                return image.size[::-1] if turned else image.size
    except Exception:  # a decoder fed with hostile bytes raises anything
        return None


def need_same_size(
    image: np.ndarray,
    first: np.ndarray,
    where: str,
    where_first: str,
    propose: Callable[[], int | None] = lambda: None,
) -> None:
    """Refuse an image [H, W, C] that is not as large as the first one; `propose` gives a side for all of them.

    Raises:
        InputError: naming both.
    """
    if image.shape != first.shape:
        side = propose()
        raise InputError(
            f"{where}: got {image.shape[1]} x {image.shape[0]} pixels, "
            f"want {first.shape[1]} x {first.shape[0]} as in {where_first}",
            hint=f"set data.source.size{'' if side is None else f', for example size: {side}'}",
        )


def _fitted(image: Image, shape: Shape) -> Image:
    from PIL import Image as module
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    image = image.convert(_TARGETS[shape.channels])
    if shape.size is None or image.size == (shape.size, shape.size):
        return image
    return ImageOps.fit(image, (shape.size, shape.size), module.Resampling.BILINEAR)

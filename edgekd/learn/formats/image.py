"""One encoded image, from anybody, to pixels of a wanted size; Pillow decodes, within limits."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from collections.abc import Iterator
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
_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"}
_ORIENTATION, _SIDEWAYS = 0x0112, {5, 6, 7, 8}
"""EXIF's tag, and its values that change width and height."""
_TARGETS = {1: "L", 3: "RGB"}
_REDUCTIONS = (8, 4, 2)
"""By how much a JPEG can be read smaller than it is."""


class Shape(NamedTuple):
    """Size and channels that every image is brought to."""

    size: int | None
    """Height and width: scaled to cover a square, the middle cut out. None leaves them."""
    channels: int
    """1 (grey) or 3 (red, green, blue)."""
    resize: int | None = None
    """Shorter side that it is scaled to before the middle is cut out; None is `size` itself."""


class Part(NamedTuple):
    """A rectangle of an upright image, in its pixels."""

    top: float
    left: float
    height: float
    width: float


def shape_of(size: int | None, channels: int, where: str, resize: int | None = None) -> Shape:
    """The wanted shape.

    Raises:
        InputError: for a number of channels other than 1 and 3, a size above 4,096, or a side to be scaled to without
            a size or below it.
        MachineError: if Pillow is not installed.
    """
    if channels not in _TARGETS:
        raise InputError(f"{where}: channels: got {channels}, want 1 or 3")
    if size is not None and size > 4096:
        raise InputError(f"{where}: size: got {size}, want 4096 at most")
    if resize is not None and not (size or resize + 1) <= resize <= 8192:
        raise InputError(f"{where}: resize: got {resize}, want a size, and from that to 8192")
    need_package("PIL", "learn", where)
    return Shape(size, channels, resize)


def decode(data: bytes, shape: Shape, where: str) -> np.ndarray:
    """uint8 [H, W, C], upright as its EXIF orientation says; transparency is dropped, 16 bits become the upper 8.

    Takes at most 12 bytes of memory a pixel beside `data`.

    Raises:
        InputError: if `data` is none of `FORMATS`, broken, too large or of more than 16 bits.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return EncodedImage(data, where).decode(shape)


class EncodedImage:
    """One encoded image whose head was read. Threads may decode several at a time: Pillow lets others run meanwhile."""

    def __init__(self, data: bytes, where: str) -> None:
        """
        Args:
            data: of one of `FORMATS`.
            where: how to call it in a message.

        Raises:
            InputError: if it is none, too large or of more than 16 bits.
        """
        from PIL import Image

        if len(data) > LIMIT_BYTES:
            raise InputError(f"{where}: got {len(data)} bytes, want {LIMIT_BYTES} at most")
        self._where = where
        with _refusing(where):
            self._image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = self._image.size
            if width * height > LIMIT_PIXELS:
                raise ValueError(f"{width} x {height} pixels, want {LIMIT_PIXELS} at most")
            if self._image.mode not in _MODES:
                raise ValueError(f"pixels of mode {self._image.mode}, want 8 or 16 bits a channel")
            self._is_turned = self._image.getexif().get(_ORIENTATION, 1) != 1
            sideways = self._image.getexif().get(_ORIENTATION, 1) in _SIDEWAYS
        self.size = (width, height) if sideways else (height, width)
        """Height and width, upright."""
        self.format = str(self._image.format)
        """One of `FORMATS`."""

    def decode(self, shape: Shape) -> np.ndarray:
        """uint8 [H, W, C] of the wanted shape.

        Raises:
            InputError: if it is broken.
        """
        from PIL import Image
        from PIL import ImageOps

        with _refusing(self._where):
            image = self._read(shape.channels)
            if shape.size is not None and shape.resize is not None:
                part = middle_part(self.size, shape.size, shape.resize)
                image = _scale(image, part, self.size, (shape.size, shape.size))
            elif shape.size is not None and image.size != (shape.size, shape.size):
                goal = shape.size, shape.size
                image = ImageOps.fit(image, goal, Image.Resampling.BILINEAR)
            return _to_array(image)

    def decode_part(self, part: Part, sides: tuple[int, int], channels: int) -> np.ndarray:
        """A part of it, scaled to uint8 [*sides, C]; a JPEG is read at the smallest size that still has as many pixels.

        Raises:
            InputError: if it is broken.
        """
        with _refusing(self._where):
            most = min(part.height // sides[0], part.width // sides[1])
            image = self._read(channels, next((n for n in _REDUCTIONS if n <= most), 1))
            return _to_array(_scale(image, part, self.size, sides))

    def check(self) -> None:
        """Read it to its end, at the smallest size that its format can be read at.

        Raises:
            InputError: if it is broken.
        """
        with _refusing(self._where):
            self._read(3, _REDUCTIONS[0])

    def _read(self, channels: int, reduction: int = 1) -> Image:
        from PIL import ImageOps

        image = self._image
        if reduction > 1:
            image.draft(None, (image.width // reduction, image.height // reduction))
        if self._is_turned:
            image = ImageOps.exif_transpose(image)
        if image.mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")
        if image.mode == "I;16":
            image = _keep_upper_bits(image)
        image.load()
        return image if image.mode == _TARGETS[channels] else image.convert(_TARGETS[channels])


def middle_part(image: tuple[int, int], size: int, resize: int) -> Part:
    """The part of an image of that height and width from which the middle square of `size` is made, once its shorter
    side is `resize`; to the pixel as torchvision's ``Resize`` and ``CenterCrop`` do it."""
    height, width = image
    short = min(height, width)
    tall, wide = (resize if side == short else resize * side // short for side in image)
    top, left = (round((scaled - size) / 2) for scaled in (tall, wide))
    down, right = height / tall, width / wide
    return Part(top * down, left * right, size * down, size * right)


def _scale(image: Image, part: Part, full: tuple[int, int], sides: tuple[int, int]) -> Image:
    """A part of an image that may have been read smaller than its `full` height and width, of the height and width
    `sides`."""
    from PIL import Image as module

    down, right = image.height / full[0], image.width / full[1]
    bottom, end = part.top + part.height, part.left + part.width
    box = (part.left * right, part.top * down, end * right, bottom * down)
    box = (box[0], box[1], min(box[2], image.width), min(box[3], image.height))
    return image.resize((sides[1], sides[0]), module.Resampling.BILINEAR, box=box)


def _keep_upper_bits(image: Image) -> Image:
    from PIL import Image as module

    return module.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def _to_array(image: Image) -> np.ndarray:
    pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels


@contextlib.contextmanager
def _refusing(where: str) -> Iterator[None]:
    from PIL import UnidentifiedImageError

    try:
        yield
    except UnidentifiedImageError:
        raise InputError(f"{where}: got no image, want {', '.join(FORMATS)}") from None
    except Exception as error:  # a decoder fed with hostile bytes raises anything
        raise InputError(f"{where}: got a bad image: {error}") from error


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

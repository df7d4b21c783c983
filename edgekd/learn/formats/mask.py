"""One encoded mask, from anybody, to the class of every pixel; Pillow decodes, within limits."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np

from edgekd.errors import InputError
from edgekd.learn.formats.image import LIMIT_BYTES
from edgekd.learn.formats.image import LIMIT_PIXELS

FORMATS = ("PNG", "BMP", "WEBP")
"""Without loss; of WEBP those that are."""
IGNORED = 255
MOST_COLOURS = 255
_NUMBERED = {"1", "L", "P"}
_COLOURED = {"RGB", "RGBA"}


class Palette:
    """The values that masks of one set have: class numbers, or colours that become numbers as they are met."""

    def __init__(self) -> None:
        self.colours: dict[int, int] = {}
        """Colour, red * 65536 + green * 256 + blue, to the number it was given."""
        self.is_coloured: bool | None = None

    def require_kind(self, is_coloured: bool, where: str) -> None:
        """Raises InputError for colours among numbers, or numbers among colours."""
        if self.is_coloured not in (None, is_coloured):
            got, want = ("colours", "numbers") if is_coloured else ("numbers", "colours")
            raise InputError(f"{where}: got a mask of {got}, want {want} as in the others")
        self.is_coloured = is_coloured

    def to_numbers(self, pixels: np.ndarray, where: str) -> np.ndarray:
        """uint8 [H, W] of colours uint8 [H, W, 3].

        Raises:
            InputError: if there are more colours than numbers of classes.
        """
        packed = pixels.astype(np.int64) @ np.array([65536, 256, 1])
        found, inverse = np.unique(packed, return_inverse=True)
        for colour in found.tolist():
            self.colours.setdefault(colour, len(self.colours))
            if len(self.colours) > MOST_COLOURS:
                raise InputError(
                    f"{where}: got more than {MOST_COLOURS} colours, want a colour a class and no loss"
                )
        table = np.array([self.colours[colour] for colour in found.tolist()], np.uint8)
        return table[inverse.reshape(packed.shape)]

    def settle(
        self, splits: dict[str, dict[str, Any]], name: str, where: str
    ) -> tuple[dict[str, dict[str, Any]], tuple[str, ...], str]:
        """The splits with classes numbered from 0, the names of the classes, and what they were told from.

        Args:
            splits: rows by field; those called `name` are maps uint8 [N, H, W].
            name: of the field of maps.
            where: how to call the set in a message.

        Raises:
            InputError: if there is but one class.
        """
        table = np.arange(256, dtype=np.uint8)
        grey = {colour: colour >> 16 for colour in self.colours if colour % 65793 == 0}
        if self.is_coloured and len(grey) < len(self.colours):
            order = sorted(self.colours)
            table[[self.colours[colour] for colour in order]] = np.arange(len(order))
            classes, how = tuple(f"#{colour:06x}" for colour in order), "the colours of the masks"
        else:
            for colour, value in grey.items():
                table[self.colours[colour]] = value
            met = {int(table[v]) for each in splits.values() for v in np.unique(each[name])}
            numbers, classes, how = _number_values(sorted(met))
            table = numbers[table]
        if len(classes) < 2:
            raise InputError(f"{where}: got masks of one value, want two classes or more")
        changed = {
            split: {**each, name: table[np.asarray(each[name])]} for split, each in splits.items()
        }
        return changed, classes, how


def _number_values(values: list[int]) -> tuple[np.ndarray, tuple[str, ...], str]:
    """The class of each of 256 values, the names of the classes, and what they were told from."""
    table = np.arange(256, dtype=np.uint8)
    if len(values) == 2 and values[0] == 0:
        table[values[1]] = 1
        return table, ("background", "foreground"), f"the values 0 and {values[1]}"
    without = [value for value in values if value != IGNORED]
    highest = max(without, default=0)
    if highest >= 2 * len(values) + 8:  # shades, not numbers
        table[values] = np.arange(len(values))
        return table, tuple(f"value {value}" for value in values), "the shades of the masks"
    ignored = f", {IGNORED} for none" if IGNORED in values else ""
    names = tuple(f"class {number}" for number in range(highest + 1))
    return table, names, f"the numbers in the masks{ignored}"


def decode_mask(data: bytes, size: int | None, where: str, palette: Palette) -> np.ndarray:
    """uint8 [H, W]: class numbers, or those of `palette` for colours; scaled without mixing values.

    Raises:
        InputError: if `data` is none of `FORMATS`, broken or too large, or values are mixed by lossy packing.
    """
    from PIL import Image
    from PIL import ImageOps
    from PIL import UnidentifiedImageError

    if len(data) > LIMIT_BYTES:
        raise InputError(f"{where}: got {len(data)} bytes, want {LIMIT_BYTES} at most")
    if data[:2] == b"\xff\xd8":
        raise InputError(f"{where}: got a JPEG, which mixes values, want a mask as PNG")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=FORMATS) as image:
                if image.size[0] * image.size[1] > LIMIT_PIXELS:
                    raise ValueError(f"{image.size[0]} x {image.size[1]} pixels")
                coloured = image.mode in _COLOURED
                if not coloured and image.mode not in _NUMBERED:
                    raise ValueError(f"pixels of mode {image.mode}, want 8 bits, a palette or RGB")
                flat = image.convert("RGB") if coloured else image
                if image.mode == "1":
                    flat = image.convert("L")
                if size is not None and flat.size != (size, size):
                    flat = ImageOps.fit(flat, (size, size), Image.Resampling.NEAREST)
                pixels = np.asarray(flat)
    except UnidentifiedImageError:
        raise InputError(f"{where}: got no image, want {', '.join(FORMATS)}") from None
    except Exception as error:  # a decoder fed with hostile bytes raises anything
        raise InputError(f"{where}: got a bad mask: {error}") from error
    palette.require_kind(coloured, where)
    return palette.to_numbers(pixels, where) if coloured else pixels.astype(np.uint8)

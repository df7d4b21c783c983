"""RandAugment (Cubuk et al. 2020, arXiv:1909.13719): random operations of one strength, done by Pillow image by image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL import ImageEnhance
from PIL import ImageOps

from edgekd.learn.view import RAND_AUGMENT
from edgekd.learn.view import draw_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.learn.view_settings import RandAugment

    Pixels = NDArray[np.uint8]

MOST_MAGNITUDE = 30
_MOST_SHEAR, _MOST_SHIFT, _MOST_DEGREES, _MOST_CHANGE = 0.3, 150 / 331, 30.0, 0.9
"""At the largest magnitude, as torchvision's ``RandAugment`` has them; shifts as shares of the side."""
_LEAST_BITS = 4


def change_images(
    pixels: Pixels, words: RandAugment, seed: int, indices: NDArray[np.int64], view: int
) -> Pixels:
    """Each of uint8 [B, H, W, C] after its own random operations; what comes in at the edges is black.

    Args:
        pixels: of one channel or three.
        words: how many operations, and how strong.
        seed: of the views.
        indices: [B], into the training split.
        view: its number.

    Raises:
        ValueError: if they have another number of channels.
    """
    if pixels.shape[-1] not in (1, 3):
        raise ValueError(f"rand_augment: got images of {pixels.shape[-1]} channels, want 1 or 3")
    names = tuple(OPERATIONS)
    drawn = [
        draw_numbers(seed, indices, view, RAND_AUGMENT + number)
        for number in range(2 * words.operations)
    ]
    strength = words.magnitude / MOST_MAGNITUDE
    changed = np.empty_like(pixels)
    for at in range(len(pixels)):
        image = Image.fromarray(pixels[at] if pixels.shape[-1] == 3 else pixels[at, ..., 0])
        for which, sign in zip(drawn[::2], drawn[1::2], strict=True):
            operation = OPERATIONS[names[int(which[at] * len(names))]]
            image = operation(image, strength if sign[at] < 0.5 else -strength)
        changed[at] = np.asarray(image).reshape(pixels.shape[1:])
    return changed


def _move(image: Image.Image, *matrix: float) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix)


def _enhance(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> _Operation:
    return lambda image, strength: kind(image).enhance(1 + _MOST_CHANGE * strength)


_Operation = Callable[[Image.Image, float], Image.Image]
OPERATIONS: dict[str, _Operation] = {
    "identity": lambda image, strength: image,
    "shear x": lambda image, strength: _move(image, 1, _MOST_SHEAR * strength, 0, 0, 1, 0),
    "shear y": lambda image, strength: _move(image, 1, 0, 0, _MOST_SHEAR * strength, 1, 0),
    "shift x": lambda image, strength: _move(
        image, 1, 0, int(_MOST_SHIFT * image.width * strength), 0, 1, 0
    ),
    "shift y": lambda image, strength: _move(
        image, 1, 0, 0, 0, 1, int(_MOST_SHIFT * image.height * strength)
    ),
    "rotate": lambda image, strength: image.rotate(_MOST_DEGREES * strength),
    "brightness": _enhance(ImageEnhance.Brightness),
    "color": lambda image, strength: (
        image if image.mode == "L" else _enhance(ImageEnhance.Color)(image, strength)
    ),
    "contrast": _enhance(ImageEnhance.Contrast),
    "sharpness": _enhance(ImageEnhance.Sharpness),
    "posterize": lambda image, strength: ImageOps.posterize(
        image, 8 - round((8 - _LEAST_BITS) * abs(strength))
    ),
    "solarize": lambda image, strength: ImageOps.solarize(image, round(256 * (1 - abs(strength)))),
    "autocontrast": lambda image, strength: ImageOps.autocontrast(image),
    "equalize": lambda image, strength: ImageOps.equalize(image),
}
"""By name: what an image becomes, from the strength -1 to 1; where a sign means nothing it is left out."""

"""Source `digit-scenes`: which pixel belongs to which handwritten digit. Made of scikit-learn's digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekd.learn.data import digits
from edgekd.learn.data.digit_shares import split_digits
from edgekd.learn.source import FieldWords
from edgekd.learn.source import LabelledImages
from edgekd.learn.source import Source

SIDE = 32
COUNTS = {"train": 3000, "validation": 500, "test": 500}
"""Scenes of each split."""
MOST_DIGITS = 4
LEAST_SIDE, MOST_SIDE = 10, 16
"""Of a digit in a scene, in pixels."""
INK = 96
"""From here on a pixel belongs to the digit and not to what is behind it."""
BLUR, TEXTURE_LIGHT = 2.0, 110.0
"""Of a texture: the spread of the blur in pixels, and its lightest pixel."""

files = digits.files


def read(
    *, data_dir: Path | None = None, allow_code: bool = False, allow_download: bool = False
) -> Source:
    """Images uint8 [N, 32, 32, 1] with one to four digits, and maps uint8 [N, 32, 32]: 0 for the background, else the
    digit and 1. A texture is other digits of the split, blurred; where two digits overlap, the later one is seen.

    Raises:
        MachineError: as `edgekd.learn.data.digits.read`.
    """
    splits = {
        name: _compose(part, COUNTS[name], seed)
        for seed, (name, part) in enumerate(split_digits(data_dir).items())
    }
    fields = {
        "images": FieldWords("image"),
        "maps": FieldWords("map", {"names": ("background", *digits.CLASSES)}),
    }
    return Source(splits, fields)


def _compose(part: LabelledImages, count: int, seed: int) -> dict[str, np.ndarray]:
    """`count` scenes of the digits of a split."""
    from scipy.ndimage import zoom

    random = np.random.default_rng(seed)
    images = np.empty((count, SIDE, SIDE, 1), np.uint8)
    maps = np.zeros((count, SIDE, SIDE), np.uint8)
    for image, classes in zip(images, maps, strict=True):
        scene = _make_texture(part, random)
        for at in random.integers(0, len(part.labels), random.integers(1, MOST_DIGITS + 1)):
            side = int(random.integers(LEAST_SIDE, MOST_SIDE + 1))
            top, left = random.integers(0, SIDE - side + 1, 2)
            here = slice(top, top + side), slice(left, left + side)
            ink = zoom(part.images[at].astype(np.float64), side / 8, order=1)
            scene[here] += (255 - scene[here]) * ink / 255
            seen = ink >= INK
            scene[here][seen], classes[here][seen] = ink[seen], part.labels[at] + 1
        image[..., 0] = scene.clip(0, 255).round()
    return {"images": images, "maps": maps}


def _make_texture(part: LabelledImages, random: np.random.Generator) -> np.ndarray:
    """float64 [32, 32]: sixteen digits side by side, blurred across their edges."""
    from scipy.ndimage import gaussian_filter

    tiles = part.images[random.integers(0, len(part.labels), (SIDE // 8) ** 2)]
    rows = tiles.reshape(SIDE // 8, SIDE // 8, 8, 8).swapaxes(1, 2).reshape(SIDE, SIDE)
    blurred = gaussian_filter(rows.astype(np.float64), BLUR, mode="wrap")
    return np.asarray(blurred * (TEXTURE_LIGHT / blurred.max()))

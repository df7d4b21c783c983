"""Source `digit-crowds`: which handwritten digits an image shows. Made of scikit-learn's digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekd.learn.data import digits
from edgekd.learn.data.digit_shares import split_digits
from edgekd.learn.source import FieldWords
from edgekd.learn.source import LabelledImages
from edgekd.learn.source import Source

SIDE, QUARTER = 24, 12
COUNTS = {"train": 3000, "validation": 500, "test": 500}
"""Images of each split."""
MOST_DIGITS = 4
LEAST_SIDE = 8
"""Of a digit in an image, in pixels; the most is a quarter's."""

files = digits.files


def read(
    *, data_dir: Path | None = None, allow_code: bool = False, allow_download: bool = False
) -> Source:
    """Images uint8 [N, 24, 24, 1] with one to four digits, each in a quarter of its own, and labels uint8 [N, 10]:
    1 where a digit is there, however often.

    Raises:
        MachineError: as `edgekd.learn.data.digits.read`.
    """
    splits = {
        name: _compose(part, COUNTS[name], seed)
        for seed, (name, part) in enumerate(split_digits(data_dir).items())
    }
    fields = {
        "images": FieldWords("image"),
        "labels": FieldWords("classes", {"names": digits.CLASSES}),
    }
    return Source(splits, fields)


def _compose(part: LabelledImages, count: int, seed: int) -> dict[str, np.ndarray]:
    """`count` images of the digits of a split."""
    from scipy.ndimage import zoom

    random = np.random.default_rng(seed)
    images = np.zeros((count, SIDE, SIDE, 1), np.uint8)
    classes = np.zeros((count, len(digits.CLASSES)), np.uint8)
    for image, row in zip(images, classes, strict=True):
        quarters = random.permutation(4)[: random.integers(1, MOST_DIGITS + 1)]
        for quarter in quarters.tolist():
            at, side = (
                random.integers(0, len(part.labels)),
                int(random.integers(LEAST_SIDE, QUARTER + 1)),
            )
            top, left = random.integers(0, QUARTER - side + 1, 2)
            top, left = top + QUARTER * (quarter // 2), left + QUARTER * (quarter % 2)
            ink = zoom(part.images[at].astype(np.float64), side / 8, order=1)
            image[top : top + side, left : left + side, 0] = ink.clip(0, 255).round()
            row[part.labels[at]] = 1
    return {"images": images, "labels": classes}

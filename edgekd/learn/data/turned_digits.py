"""Source `turned-digits`: by how many degrees a handwritten digit is turned. Made of scikit-learn's digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekd.learn.data import digits
from edgekd.learn.data.digit_shares import split_digits
from edgekd.learn.source import FieldWords
from edgekd.learn.source import LabelledImages
from edgekd.learn.source import Source

SIDE = 12
MOST_DEGREES = 40.0
TURNS = {"train": 3, "validation": 1, "test": 1}
"""How often each digit of a split is turned."""

files = digits.files


def read(
    *, data_dir: Path | None = None, allow_code: bool = False, allow_download: bool = False
) -> Source:
    """Images uint8 [N, 12, 12, 1] and numbers float32 [N, 1], degrees from -40 to 40, anticlockwise.

    Raises:
        MachineError: as `edgekd.learn.data.digits.read`.
    """
    splits = {
        name: _turn(part, TURNS[name], seed)
        for seed, (name, part) in enumerate(split_digits(data_dir).items())
    }
    fields = {
        "images": FieldWords("image"),
        "numbers": FieldWords("number", {"columns": ("angle",), "unit": "degrees"}),
    }
    return Source(splits, fields)


def _turn(part: LabelledImages, turns: int, seed: int) -> dict[str, np.ndarray]:
    """Every digit `turns` times, each time by another angle."""
    from scipy.ndimage import rotate

    still = np.pad(np.tile(part.images, (turns, 1, 1)), ((0, 0), *[((SIDE - 8) // 2,) * 2] * 2))
    random = np.random.default_rng(seed)
    angles = random.uniform(-MOST_DEGREES, MOST_DEGREES, len(still)).astype(np.float32)
    images = np.empty((*still.shape, 1), np.uint8)
    for image, digit, angle in zip(images, still, angles.tolist(), strict=True):
        turned = rotate(digit.astype(np.float64), angle, reshape=False, order=1)
        image[..., 0] = turned.clip(0, 255).round()
    return {"images": images, "numbers": angles[:, None]}

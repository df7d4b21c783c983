"""Folders of photographs of several sizes, for tests of what decodes them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIZES = ((40, 30), (30, 50), (64, 48), (33, 33))
"""Widths and heights."""


def make_photo(seed: int, size: tuple[int, int]) -> Image.Image:
    """Smooth colours, others for each seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def encode(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    """The bytes of a file."""
    file = io.BytesIO()
    image.save(file, form, **({"quality": 92} if form == "JPEG" else {}) | options)
    return file.getvalue()


def fill_folder(root: Path, count: int, classes: tuple[str, ...] = ("cat", "dog")) -> list[Path]:
    """So many photographs of each class."""
    paths = []
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for number in range(count):
            paths.append(root / name / f"{number:04}.jpg")
            seed = 1000 * label + number
            paths[-1].write_bytes(encode(make_photo(seed, SIZES[seed % len(SIZES)])))
    return paths

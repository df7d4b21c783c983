"""From stored pixels to a model's input, in numpy alone: what a board has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


MOST_VALUES = 2**21
"""Of one batch of images on a CPU: beyond it features leave the caches, and large images fill the memory."""


def scale_and_shift(mean: Sequence[float], std: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """``a, b`` [C] float32 with (pixel / 255 - mean) / std = pixel * a + b."""
    import numpy as np

    means, stds = np.asarray(mean), np.asarray(std)
    return (1 / (255 * stds)).astype(np.float32), (-means / stds).astype(np.float32)


def to_input(
    images: np.ndarray,
    *,
    height: int,
    width: int,
    channels: int,
    mean: Sequence[float],
    std: Sequence[float],
) -> np.ndarray:
    """uint8 [B, H, W, C] to float32 [B, C, H, W], contiguous.

    Raises:
        ValueError: if the images are of another shape or type.
    """
    import numpy as np

    want = (height, width, channels)
    if images.dtype != np.uint8 or images.shape[1:] != want:
        raise ValueError(f"want uint8 [B, {want}], got {images.dtype} {images.shape}")
    scale, shift = scale_and_shift(mean, std)
    return np.ascontiguousarray((images * scale + shift).transpose(0, 3, 1, 2))

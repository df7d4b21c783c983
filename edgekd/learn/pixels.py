"""Mean and spread of pixels, exactly."""

from __future__ import annotations

import math

import numpy as np

STD_FLOOR = 1 / 255
"""Of a channel that never changes; dividing by it keeps one grey level at size one."""
_CHUNK = 1024


def mean_and_std(
    images: np.ndarray, order: np.ndarray
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Per channel, of pixel / 255 over ``images[order]``, to six decimals.

    Counted in whole numbers, so the result does not depend on the order or on the machine.

    Args:
        images: uint8 [N, H, W, C].
        order: indices [n], n > 0.
    """
    channels = images.shape[3]
    counts = np.zeros((channels, 256), np.int64)
    for start in range(0, len(order), _CHUNK):
        chunk = images[order[start : start + _CHUNK]]
        for channel in range(channels):
            counts[channel] += np.bincount(chunk[..., channel].ravel(), minlength=256)
    rows = [_moments(row) for row in counts.tolist()]
    return tuple(mean for mean, _ in rows), tuple(std for _, std in rows)


def _moments(counts: list[int]) -> tuple[float, float]:
    total = sum(counts)
    first = sum(value * count for value, count in enumerate(counts))
    second = sum(value * value * count for value, count in enumerate(counts))
    variance = (total * second - first * first) / (255 * total) ** 2
    return round(first / (255 * total), 6), round(max(math.sqrt(variance), STD_FLOOR), 6)

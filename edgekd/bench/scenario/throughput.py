"""The batch size that gets the most samples through: which to try next, and which won. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

GAIN = 0.05
"""Doubling the batch must gain this much to be worth going on."""
MOST = 1024


class ThroughputPoint(NamedTuple):
    """One batch size, measured."""

    batch: int
    samples_per_s: float
    latency_ms: float
    """Median of one batch."""


def next_batch(
    points: Sequence[ThroughputPoint], bound_ms: float | None, most: int = MOST
) -> int | None:
    """The next batch size of the sweep, or None when it is over.

    It doubles from 1 until two sizes in a row are less than 5 % above the best before them (one
    alone may only have met an unlucky kernel: batch 2 often is slower than 1 and 8 faster), until a
    batch takes longer than the bound, or at `most`.
    """
    if not points:
        return 1
    last = points[-1]
    if bound_ms is not None and last.latency_ms > bound_ms:
        return None
    if len(points) > 2:
        before = max(point.samples_per_s for point in points[:-2])
        if max(point.samples_per_s for point in points[-2:]) < before * (1 + GAIN):
            return None
    return 2 * last.batch if 2 * last.batch <= most else None


def best_point(points: Sequence[ThroughputPoint], bound_ms: float | None) -> ThroughputPoint | None:
    """The smallest batch within 5 % of the most samples a second under the bound; None if none is."""
    inside = [p for p in points if bound_ms is None or p.latency_ms <= bound_ms]
    if not inside:
        return None
    most = max(point.samples_per_s for point in inside)
    return next(point for point in inside if point.samples_per_s >= most / (1 + GAIN))

"""From what a tensor held to the range its codes cover: min-max, percentile, least squares."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BINS = 2048
"""At most; half of them or more lie between the extremes."""
NARROWEST_BIN = 2.0**-40
STEPS = 64
"""Ranges tried for each end."""
NARROWEST = 0.1
"""Least part of min-max that is tried."""


class Range(NamedTuple):
    """The values that codes cover; 0 always lies in it."""

    least: float
    most: float


@dataclass(slots=True)
class Histogram:
    """How often each value came, in bounded memory and one pass: bins are whole multiples of a power of two
    wide, and where they no longer reach, two become one."""

    least: float = 0.0
    most: float = 0.0
    counts: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    width: float = NARROWEST_BIN
    """Of a bin."""
    first: int = 0
    """The first bin begins at `first` times `width`."""

    def widen(self, least: float, most: float) -> None:
        """Take extremes in; what was counted stays counted.

        Raises:
            ValueError: if one is no number.
        """
        if not (math.isfinite(least) and math.isfinite(most)):
            raise ValueError("got values that are not finite")
        self.least, self.most = min(self.least, least), max(self.most, most)
        width = self.width
        while self.most // width - self.least // width >= BINS:
            width *= 2
        first = int(self.least // width)
        if (width, first) != (self.width, self.first):
            moved = np.floor((self.first + np.arange(BINS)) * (self.width / width)) - first
            here = self.counts > 0
            kept = np.bincount(moved[here].astype(np.int64), self.counts[here], BINS)
            self.counts, self.width, self.first = kept.astype(np.float64), width, first

    def count(self, values: NDArray[np.float32]) -> None:
        """Count `values`, which lie between the extremes."""
        bins = np.floor(values * np.float64(1 / self.width)).astype(np.int64) - self.first
        self.counts += np.bincount(bins, minlength=BINS)

    def edges(self) -> NDArray[np.float64]:
        """Return where bins begin, and the last one ends."""
        return (self.first + np.arange(BINS + 1, dtype=np.float64)) * self.width

    def centres(self) -> NDArray[np.float64]:
        """The middle of each bin."""
        edges = self.edges()
        return (edges[:-1] + edges[1:]) / 2


def min_max(seen: Histogram, levels: int, symmetric: bool) -> Range:
    """All that was seen."""
    return Range(seen.least, seen.most)


def percentile(seen: Histogram, levels: int, symmetric: bool, *, share: float) -> Range:
    """All but `1 - share` of the values, cut off where there are any: at both ends, or at the one
    that is not 0."""
    total = seen.counts.sum()
    if total == 0:
        return Range(seen.least, seen.most)
    below, edges = np.cumsum(seen.counts) / total, seen.edges()
    most = float(edges[int(np.searchsorted(below, share)) + 1])
    least = float(edges[int(np.searchsorted(below, 1 - share))])
    return Range(min(max(least, seen.least), 0.0), max(min(most, seen.most), 0.0))


def least_squares(seen: Histogram, levels: int, symmetric: bool) -> Range:
    """The range whose codes differ least from the values, in the mean of squares.

    First one end is moved, then the other, each over `STEPS` places.
    """
    filled = seen.counts > 0
    centres, counts = seen.centres()[filled], seen.counts[filled]
    parts = np.linspace(NARROWEST, 1, STEPS)
    best = Range(seen.least, seen.most)
    if not len(counts):
        return best
    for end in ("most", "least"):
        tried = [best._replace(**{end: getattr(best, end) * part}) for part in parts]
        errors = [squared_error(centres, counts, one, levels, symmetric) for one in tried]
        best = tried[int(np.argmin(errors))]
    return best


def squared_error(
    values: NDArray[np.float64],
    counts: NDArray[np.float64],
    covered: Range,
    levels: int,
    symmetric: bool,
) -> float:
    """Mean square of what rounding to `levels` codes over `covered` does to `values`."""
    if symmetric:
        high = levels // 2 - 1
        step = max(-covered.least / (high + 1), covered.most / high)
        zero, low = 0, -high - 1
    else:
        high, low = levels - 1, 0
        step = (covered.most - covered.least) / high
        zero = round(-covered.least / step) if step else 0
    if step == 0:
        return float(np.average(values**2, weights=counts))
    codes = np.clip(np.rint(values / step) + zero, low, high)
    return float(np.average((values - (codes - zero) * step) ** 2, weights=counts))


def _share(share: float) -> Callable[[Histogram, int, bool], Range]:
    return lambda seen, levels, symmetric: percentile(seen, levels, symmetric, share=share)


METHODS: dict[str, Callable[[Histogram, int, bool], Range]] = {
    "min-max": min_max,
    "percentile-99.99": _share(0.9999),
    "percentile-99.9": _share(0.999),
    "mse": least_squares,
}
"""Each takes what was seen, the number of codes, and whether they are symmetric about 0."""

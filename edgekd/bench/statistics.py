"""Medians with intervals that hold without any assumption on the distribution.

The sampling unit is the fresh process: an interval over the iterations of one process is 20 to 40
times too narrow, so `across` works on process medians. No outlier is ever dropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

MIN_FOR_INTERVAL = 6
"""With fewer values even [smallest, largest] covers the median less than 95 % of the time."""
NEEDED = {50: 1, 90: 64, 95: 130, 99: 662}
"""Percentile to the samples it needs: MLPerf's early-stopping bound at 99 % confidence."""
DRIFTING = 0.3
"""Lag-1 autocorrelation of process medians above which they do not count as independent."""
WIDEST = 0.9
"""Autocorrelation is cut here: the widening would grow without bound."""


class Interval(NamedTuple):
    """A 95 % confidence interval."""

    low: float
    high: float

    def half_width(self, value: float) -> float:
        """Half its width as a fraction of `value`."""
        return (self.high - self.low) / (2 * value) if value else 0.0


class Figure(NamedTuple):
    """A value, or why there is none."""

    value: float | None
    reason: str = ""


class Across(NamedTuple):
    """What process medians say together."""

    value: float
    """Median of the process medians."""
    interval: Interval | None
    """None below six processes."""
    drifting: bool
    """Whether neighbours in time resemble each other; the interval is widened for it."""


def median(values: Sequence[float]) -> float:
    """The middle value, or the mean of the two middle ones.

    Raises:
        ValueError: if there are none.
    """
    if not values:
        raise ValueError("want at least one value")
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return float(ordered[middle])
    return (ordered[middle - 1] + ordered[middle]) / 2


def median_interval(values: Sequence[float]) -> Interval | None:
    """The order statistics that hold the median with at least 95 % confidence (sign test).

    [x(1), x(6)] of 6 values, [x(2), x(9)] of 10, [x(6), x(15)] of 20; None of fewer than 6.
    """
    if len(values) < MIN_FOR_INTERVAL:
        return None
    ordered, rank = sorted(values), interval_rank(len(values))
    return Interval(float(ordered[rank - 1]), float(ordered[-rank]))


def interval_rank(count: int) -> int:
    """Largest k with 2 P(Binomial(count, 1/2) < k) <= 5 %; from the normal law above 500."""
    if count > 500:
        return math.floor((count - 1.96 * math.sqrt(count)) / 2)
    tail, rank = 0, 0
    while 40 * (tail + math.comb(count, rank)) <= 2**count:
        tail += math.comb(count, rank)
        rank += 1
    return rank


def percentile(values: Sequence[float], q: int) -> Figure:
    """The q-th percentile (nearest rank), or how many samples it would need."""
    if len(values) < NEEDED[q]:
        return Figure(None, f"n={len(values)} < {NEEDED[q]}")
    ordered = sorted(values)
    return Figure(float(ordered[max(0, math.ceil(q / 100 * len(ordered)) - 1)]))


def autocorrelation(values: Sequence[float]) -> float:
    """Lag-1 autocorrelation; 0 for fewer than three values or none that differ."""
    if len(values) < 3:
        return 0.0
    mean = math.fsum(values) / len(values)
    apart = [value - mean for value in values]
    spread = math.fsum(a * a for a in apart)
    if spread == 0:
        return 0.0
    return math.fsum(a * b for a, b in zip(apart, apart[1:], strict=False)) / spread


def across(process_medians: Sequence[float]) -> Across:
    """Value and interval over fresh processes, in the order they ran.

    Raises:
        ValueError: if there are none.
    """
    value, interval = median(process_medians), median_interval(process_medians)
    correlation = min(autocorrelation(process_medians), WIDEST)
    drifting = correlation > DRIFTING
    if interval is not None and drifting:
        wider = math.sqrt((1 + correlation) / (1 - correlation))
        interval = Interval(
            value - (value - interval.low) * wider, value + (interval.high - value) * wider
        )
    return Across(value, interval, drifting)


def settled(medians: Sequence[float], target: float) -> bool:
    """Level 2 of the stopping rule: half-width of the interval at most `target` of the value."""
    if len(medians) < MIN_FOR_INTERVAL:
        return False
    found = across(medians)
    return found.interval is not None and found.interval.half_width(found.value) <= target

"""Medians with intervals that hold without any assumption on the distribution.

The sampling unit is the fresh process: an interval over the iterations of one process is 20 to 40
times too narrow, so `summarize_processes` works on process medians. No outlier is ever dropped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

MIN_FOR_INTERVAL = 6
"""With fewer values even [smallest, largest] covers the median less than 95 % of the time."""
NEEDED = {50: 1, 90: 64, 95: 130, 99: 662}
"""Percentile to the samples it needs: MLPerf's early-stopping bound at 99 % confidence."""
DRIFTING = 0.2
"""Lag-1 autocorrelation of process medians above which they do not count as independent. The usual
0.3 overlooks so many series whose true one is 0.5 that their intervals hold in 93 %, not 95 %."""
WIDEST = 0.9
"""Autocorrelation is cut here: the widening would grow without bound."""
FEWEST_WORTH = 4.0
"""However alike, neighbours count as this many independent values, or no interval would be finite."""
ALPHA = 0.05
"""How often an interval may miss: 95 % confidence."""
CAUTIOUS = 1 / 32
"""The least with which six values still carry an interval."""
EXACT_TO = 500
"""Values up to which ranks are counted out; above, the normal law is as good."""


class Interval(NamedTuple):
    """A confidence interval, of 95 % where nothing else is said."""

    low: float
    high: float

    def half_width(self, value: float) -> float:
        """Half its width as a fraction of `value`."""
        return (self.high - self.low) / (2 * value) if value else 0.0


class Figure(NamedTuple):
    """A value, or why there is none."""

    value: float | None
    reason: str = ""


class ProcessSummary(NamedTuple):
    """Median and interval over the medians of processes."""

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


def median_interval(values: Sequence[float], alpha: float = ALPHA) -> Interval | None:
    """The order statistics that hold the median but for `alpha` of all times (sign test).

    With 5 %: [x(1), x(6)] of 6 values, [x(2), x(9)] of 10, [x(6), x(15)] of 20. None of so few that
    even [smallest, largest] misses more often.
    """
    rank = interval_rank(len(values), alpha)
    if rank == 0:
        return None
    ordered = sorted(values)
    return Interval(float(ordered[rank - 1]), float(ordered[-rank]))


def interval_rank(count: int, alpha: float = ALPHA) -> int:
    """Largest k with 2 P(Binomial(count, 1/2) < k) <= alpha; from the normal law above 500."""
    if count > EXACT_TO:
        z = NormalDist().inv_cdf(1 - alpha / 2)
        return math.floor((count - z * math.sqrt(count)) / 2)
    tail, rank = 0, 0
    while 2 * (tail + math.comb(count, rank)) <= alpha * 2**count:
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


def summarize_processes(process_medians: Sequence[float]) -> ProcessSummary:
    """Value and interval over fresh processes, in the order they ran: times, rates, bytes, joules.

    What cannot be negative is widened by ratio, so that its interval ends above nothing.

    Raises:
        ValueError: if there are none.
    """
    correlation = autocorrelation(process_medians)
    found = ProcessSummary(median(process_medians), median_interval(process_medians), False)
    if correlation <= DRIFTING:
        return found
    return widen_by_ratio(found, correlated_factor(correlation, len(process_medians)))


def widen_by_ratio(found: ProcessSummary, factor: float) -> ProcessSummary:
    """As `widen`, by ratio: the same where the interval is narrow, and never below nothing."""
    value, interval = found.value, found.interval
    if interval is None or interval.low <= 0:
        return widen(found, factor)
    below, above = interval.low / value, interval.high / value
    return ProcessSummary(value, Interval(value * below**factor, value * above**factor), True)


def widen(found: ProcessSummary, factor: float) -> ProcessSummary:
    """The same value, its interval `factor` times as wide, marked as drifting."""
    value, interval = found.value, found.interval
    if interval is not None:
        below, above = value - interval.low, interval.high - value
        interval = Interval(value - below * factor, value + above * factor)
    return ProcessSummary(value, interval, True)


def correlated_factor(correlation: float, count: int) -> float:
    """Return how much wider an interval over `count` neighbours must be that resemble each other.

    With lag-1 autocorrelation r, `count` values tell as much as count (1 - r) / (1 + r) independent
    ones. Three small-sample matters beside: r is estimated too low, and so is the spread; and of so
    few values Student's law, not the normal one, bounds the error.
    """
    r = min(max(correlation, correct_bias(correlation, count)), WIDEST)
    inflation = (1 + r) / (1 - r)
    worth = max(count / inflation, FEWEST_WORTH)
    student = 1 + 1.3 / (worth - 1) + 2.5 / (worth - 1) ** 2
    return math.sqrt(inflation * worth / (worth - 1)) * student


def correct_bias(correlation: float, count: int) -> float:
    """Return what the lag-1 autocorrelation likely is: few values show too little of it.

    On average r - (1 + 4 r) / count (Marriott and Pope 1954, Kendall 1954); that, turned round.
    """
    return (count * correlation + 1) / (count - 4) if count > 4 else WIDEST


def is_settled(medians: Sequence[float], target: float) -> bool:
    """Level 2 of the stopping rule: half-width of the interval at most `target` of the value.

    It is asked after every process, and now and then an interval is narrow by luck. So what must be
    narrow is one that misses less often than the one that is told, and that is widened as soon as
    the values may resemble each other, not only when they are seen to.
    """
    value, interval = median(medians), median_interval(medians, CAUTIOUS)
    if interval is None:
        return False
    correlation = autocorrelation(medians)
    found = ProcessSummary(value, interval, False)
    if correct_bias(correlation, len(medians)) > DRIFTING:
        found = widen_by_ratio(found, correlated_factor(correlation, len(medians)))
    return found.interval is not None and found.interval.half_width(found.value) <= target

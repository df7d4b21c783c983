"""Which of two models is faster: a verdict from interleaved pairs of fresh processes. Pure.

A pair gives one number, ln(median of B / median of A); what a slow minute does to both cancels in
it. The verdict stands on the order-statistic interval of the median of these numbers: it assumes
nothing of how they are spread. A bootstrap interval is shown beside it and decides nothing.

`DELTA` is 1 %, not the 2 % that is usual: the interval must lie beyond it, so of runs of 15 pairs whose
log-ratios spread by 2.5 % (a shared host of two cores) a true +5 % is found in 98 % with it and in 89 %
with 2 %; by 3 %, in 93 and 76 %. Identical models are told apart in at most 1 of 1,000 with either,
and in 30 to 40 with none (``benchmarks/bench_trust/estimator.py``, `power`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal
from typing import NamedTuple

from edgekd.bench import statistics
from edgekd.bench.statistics import Interval

Verdict = Literal["faster", "slower", "equivalent", "unresolved"]
"""Of B beside A."""
DELTA = 0.01
"""A difference below this fraction is nobody's business."""
PAIRS = 15
LOOK_EVERY = 10
"""A run of 20 pairs and more may end early at every tenth; each look is paid for."""
ALIKE = 0.3
"""Lag-1 autocorrelation above which neighbouring pairs do not count as independent."""
RESAMPLES = 10_000
POWER = 0.9


class InterimLook(NamedTuple):
    """A moment at which a run may end with a verdict."""

    pairs: int
    alpha: float
    """How often its interval may miss the truth."""


class PairComparison(NamedTuple):
    """The ratio of B to A over all pairs, with its interval and verdict."""

    ratio: float
    """Median of B's time over A's."""
    interval: Interval | None
    """None of fewer than six pairs, or of more where `alpha` is small."""
    pairs: int
    verdict: Verdict
    delta: float
    alpha: float
    bootstrap: Interval | None
    """95 %, percentile bootstrap of the median; for the eye alone."""
    drifting: bool
    """Whether neighbouring pairs resemble each other; the interval is widened for it."""


def plan_looks(pairs: int) -> tuple[InterimLook, ...]:
    """Return when a run of at most `pairs` pairs is looked at, and what each look may cost of 5 %.

    Below 20 pairs once, at the end. From there at every tenth: 30 pairs at 10, 20 and 30. The looks
    share 5 % evenly; ranks are whole, so what a look cannot use goes on to the next. By the union
    bound all intervals together miss at most 5 % of the time: ending early costs nothing.
    """
    at = [n for n in range(LOOK_EVERY, pairs, LOOK_EVERY) if pairs >= 2 * LOOK_EVERY] + [pairs]
    left, found = statistics.ALPHA, []
    for number, count in enumerate(at):
        alpha = left - statistics.ALPHA * (len(at) - 1 - number) / len(at)
        left -= true_alpha(count, alpha)
        found.append(InterimLook(count, alpha))
    return tuple(found)


def true_alpha(pairs: int, alpha: float) -> float:
    """Return how often the interval of `pairs` values at `alpha` truly misses the median."""
    rank = statistics.interval_rank(pairs, alpha)
    return 2 * sum(math.comb(pairs, k) for k in range(rank)) / math.pow(2, pairs)


def judge(
    log_ratios: Sequence[float],
    *,
    delta: float = DELTA,
    alpha: float = statistics.ALPHA,
    seed: int = 0,
) -> PairComparison:
    """The verdict on B from ln(B / A) of each pair, in the order the pairs ran.

    Args:
        log_ratios: one number a pair.
        delta: faster below 1 - delta, slower above 1 + delta, equivalent between the two.
        alpha: how often the interval may miss; an `InterimLook` says how much.
        seed: of the bootstrap.

    Raises:
        ValueError: if there are no pairs, or delta is not between 0 and 1.
    """
    if not 0 <= delta < 1:
        raise ValueError(f"delta: got {delta}, want at least 0 and less than 1")
    found = summarize_pairs(log_ratios, alpha)
    interval = None if found.interval is None else _exp(found.interval)
    return PairComparison(
        ratio=math.exp(found.value),
        interval=interval,
        pairs=len(log_ratios),
        verdict=verdict_of(interval, delta),
        delta=delta,
        alpha=alpha,
        bootstrap=bootstrap(log_ratios, seed),
        drifting=found.drifting,
    )


def summarize_pairs(
    log_ratios: Sequence[float], alpha: float = statistics.ALPHA
) -> statistics.ProcessSummary:
    """Median of the log-ratios and its interval, widened where neighbouring pairs are alike.

    What a machine does to both models cancels in a pair, so its drift leaves little; the plain factor
    for autocorrelated values is enough here, and costs a session without drift little power.

    Raises:
        ValueError: if there are no pairs.
    """
    value = statistics.median(log_ratios)
    found = statistics.ProcessSummary(value, statistics.median_interval(log_ratios, alpha), False)
    r = min(statistics.autocorrelation(log_ratios), statistics.WIDEST)
    if r <= ALIKE:
        return found
    return statistics.widen(found, math.sqrt((1 + r) / (1 - r)))


def verdict_of(interval: Interval | None, delta: float) -> Verdict:
    """Return where an interval of ratios lies; ``unresolved`` is not ``equivalent``."""
    if interval is None:
        return "unresolved"
    if interval.high < 1 - delta:
        return "faster"
    if interval.low > 1 + delta:
        return "slower"
    within = interval.low >= 1 - delta and interval.high <= 1 + delta
    return "equivalent" if within else "unresolved"


def bootstrap(log_ratios: Sequence[float], seed: int) -> Interval | None:
    """95 % percentile bootstrap of the median ratio; None of fewer than six pairs."""
    if len(log_ratios) < statistics.MIN_FOR_INTERVAL:
        return None
    import numpy as np

    values = np.asarray(log_ratios)
    drawn = np.random.default_rng(seed).integers(0, len(values), (RESAMPLES, len(values)))
    low, high = np.quantile(np.median(values[drawn], axis=1), [0.025, 0.975])
    return _exp(Interval(float(low), float(high)))


def smallest_effect(
    log_ratios: Sequence[float], pairs: int, *, delta: float = DELTA, power: float = POWER
) -> float:
    """The slowdown that `pairs` pairs would call slower in `power` of all runs, as a fraction.

    From pairs of identical models: a verdict needs the interval's lower order statistic beyond
    1 + delta, which happens often enough if a pair falls short of the truth by more than some
    margin rarely enough; the margin is read off the pairs' own sizes, of which the sign is luck.

    Raises:
        ValueError: if there are no log-ratios, or too few pairs for any interval.
    """
    rank = statistics.interval_rank(pairs)
    if not log_ratios or rank == 0:
        raise ValueError(f"want log-ratios and 6 pairs, got {len(log_ratios)} and {pairs}")
    short = _rarely_enough(pairs, rank, power)
    sizes = sorted(abs(value) for value in log_ratios)
    place = min(len(sizes), math.ceil((1 - 2 * short) * (len(sizes) + 1)))
    return (1 + delta) * math.exp(sizes[place - 1]) - 1


def _rarely_enough(pairs: int, rank: int, power: float) -> float:
    """The largest p, at most 1/2, with P(Binomial(pairs, p) < rank) >= power."""
    low, high = 0.0, 0.5
    for _ in range(40):
        p = (low + high) / 2
        below = sum(math.comb(pairs, k) * p**k * (1 - p) ** (pairs - k) for k in range(rank))
        low, high = (p, high) if below >= power else (low, p)
    return low


def _exp(interval: Interval) -> Interval:
    return Interval(math.exp(interval.low), math.exp(interval.high))

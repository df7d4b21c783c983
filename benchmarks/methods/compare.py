"""One method beside another: means over seeds, and 95 % intervals from how far the runs of the same pair
of networks move between seeds: all of them together, or the method alone where it moves far more."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from scipy.stats import t as student_t

Row = dict[str, Any]
Accuracies = Mapping[int, float]
"""Of one method, by seed."""
TWO_SIDED = 1.96
NORMAL = 1.4826
"""The standard deviation of normal numbers over the median of their distances from the middle."""
LEAST = 20
"""So many moves tell how far runs move."""
EXCESS = 2.15
"""A method whose own differences spread so many times as far as the pair's is no like of theirs: of normal numbers three
do so once in a hundred (chi-squared, 2 degrees of freedom)."""
FEWEST_SEEDS = 3
"""From which a difference has an interval."""


class Difference(NamedTuple):
    """Of two accuracies, as fractions."""

    mean: float
    low: float | None
    """None, as `high`, of fewer seeds than `FEWEST_SEEDS`: nobody knows how far that method moves."""
    high: float | None


def moves(methods: Iterable[Accuracies]) -> list[float]:
    """How far each method moves from a seed to the next, less how far the middle method does.

    What a seed does to all methods alike (the same first weights, the same order of images) cancels, as it
    does in the difference of two methods.
    """
    found = [dict(method) for method in methods]
    seeds = sorted({seed for method in found for seed in method})
    centred: list[float] = []
    for before, after in itertools.pairwise(seeds):
        both = [m[after] - m[before] for m in found if before in m and after in m]
        if both:
            middle = statistics.median(both)
            centred += [move - middle for move in both]
    return centred


def deviation(centred: Sequence[float]) -> float | None:
    """Of the difference of two runs, from the median move: a method that diverges once does not widen the
    others' intervals. None of fewer moves than `LEAST`."""
    if len(centred) < LEAST:
        return None
    return NORMAL * statistics.median(abs(move) for move in centred)


def difference(ours: Accuracies, theirs: Accuracies, each: float | None) -> Difference | None:
    """Over the seeds that both have; None where they share none.

    Args:
        ours: of one method.
        theirs: of another of the same pair.
        each: `deviation` of the difference at one seed, of this pair's own runs.
    """
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        return None
    mean = statistics.fmean(ours[seed] - theirs[seed] for seed in shared)
    if each is None or len(shared) < FEWEST_SEEDS:
        return Difference(mean, None, None)
    own = statistics.stdev(ours[seed] - theirs[seed] for seed in shared)
    half = TWO_SIDED * each
    if own > EXCESS * each:
        half = float(student_t.ppf(0.975, len(shared) - 1)) * own
    half /= len(shared) ** 0.5
    return Difference(mean, mean - half, mean + half)


def interval(apart: Row) -> list[float] | None:
    """Both ends, where there are any."""
    return None if apart.get("low") is None else [apart["low"], apart["high"]]


def spread(accuracies: Sequence[float]) -> float | None:
    """Standard deviation over seeds; None of one."""
    return statistics.stdev(accuracies) if len(accuracies) > 1 else None

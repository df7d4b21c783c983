"""One method beside another: means over seeds and 95 % intervals of paired differences."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import numpy as np
from scipy import stats

Row = dict[str, Any]
Seeds = Mapping[int, Row]
"""A method's rows that have an accuracy, by seed."""
TWO_SIDED = 0.975


class Difference(NamedTuple):
    """Of two accuracies, as fractions."""

    mean: float
    low: float
    high: float
    kind: str
    """``seeds``: Student's t over the seeds; ``images``: one seed, paired over the test images."""


def difference(
    ours: Seeds, theirs: Seeds, right: Mapping[tuple[str, int], Any]
) -> Difference | None:
    """Of the seeds that both have; None where they share none.

    Args:
        ours: of one method.
        theirs: of another of the same pair.
        right: which test images were answered right, [N] of bool, by method and seed.
    """
    shared = sorted(ours.keys() & theirs.keys())
    apart = [ours[seed]["test_accuracy"] - theirs[seed]["test_accuracy"] for seed in shared]
    if len(shared) > 1:
        return over_seeds(apart)
    if not shared:
        return None
    (seed,) = shared
    keys = [(side[seed]["method"], seed) for side in (ours, theirs)]
    return over_images(*(right[key] for key in keys)) if all(k in right for k in keys) else None


def over_seeds(apart: Sequence[float]) -> Difference:
    """Student's interval of two differences or more."""
    mean, count = statistics.fmean(apart), len(apart)
    half = float(stats.t.ppf(TWO_SIDED, count - 1)) * statistics.stdev(apart) / count**0.5
    return Difference(mean, mean - half, mean + half, "seeds")


def over_images(ours: Any, theirs: Any) -> Difference:
    """Interval of the difference of two proportions of the same images, [N] of bool each: says nothing of
    how much another seed would change."""
    apart = np.asarray(ours, float) - np.asarray(theirs, float)
    half = float(stats.norm.ppf(TWO_SIDED)) * float(apart.std(ddof=1)) / len(apart) ** 0.5
    mean = float(apart.mean())
    return Difference(mean, mean - half, mean + half, "images")


def spread(accuracies: Sequence[float]) -> float | None:
    """Standard deviation over seeds; None of one."""
    return statistics.stdev(accuracies) if len(accuracies) > 1 else None

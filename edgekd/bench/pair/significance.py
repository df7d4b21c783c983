"""What pairs say of a regression: the same samples seen by two models, neighbouring processes in time.

Every p-value is one-sided: how likely is what was seen, if the new model were no worse than allowed?
At `LEVEL` it says the same as the end of a two-sided 95 % interval that lies beyond the limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import NamedTuple

from edgekd.bench.statistics import Interval
from edgekd.sampling_error import settle_rows
from edgekd.task import score_drop

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

from edgekd.task import Metric

LEVEL = 0.025
"""Of one side."""


class ScoreDrop(NamedTuple):
    """By how much one model's score is worse than another's, on the same samples."""

    points: float
    """In points of a fraction, else in the metric's unit; negative where it is better."""
    interval: Interval
    """95 %, percentiles of the paired bootstrap."""
    p_value: float
    """Of a drop of at most what is allowed; where rows are right or wrong the larger of the bootstrap's and McNemar's."""
    mcnemar_p: float = math.nan
    """Two-sided and exact, of no difference at all; NaN where rows are not right or wrong."""


def binomial_tail(least: int, count: int) -> float:
    """P(X >= least) for the number of heads among `count` tosses of a fair coin."""
    if least <= 0:
        return 1.0
    if least > count:
        return 0.0
    log_all = math.lgamma(count + 1) - count * math.log(2)
    terms = (
        math.exp(log_all - math.lgamma(k + 1) - math.lgamma(count - k + 1))
        for k in range(least, count + 1)
    )
    return min(1.0, math.fsum(terms))


def mcnemar(lost: int, gained: int) -> float:
    """Exact two-sided p-value that neither of two classifiers is better (McNemar 1947).

    Args:
        lost: samples that only the first gets right.
        gained: samples that only the second gets right.
    """
    return min(1.0, 2 * binomial_tail(max(lost, gained), lost + gained))


def sign_test(values: Sequence[float], limit: float) -> float:
    """One-sided p-value that the median of `values` is at most `limit`; a tie speaks for that."""
    return binomial_tail(sum(value > limit for value in values), len(values))


def estimate_drop(
    lost: int, gained: int, count: int, allowed_points: float, *, resamples: int, seed: int
) -> ScoreDrop:
    """Return how far the second classifier is below the first.

    The bootstrap draws samples with replacement; all that counts of a draw is how many lost and
    gained ones it holds, so it is one draw from a multinomial law. With few samples on which the
    two differ it is too sure of itself: McNemar's exact test has to agree before p is small.

    Args:
        lost: samples that only the first gets right.
        gained: samples that only the second gets right.
        count: all samples.
        allowed_points: the largest drop that is no regression, in percentage points.
        resamples: draws of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValueError: if the counts do not fit each other.
    """
    import numpy as np

    if min(lost, gained) < 0 or lost + gained > count or not count:
        raise ValueError(f"got {lost} lost and {gained} gained of {count} samples")
    shares = (lost / count, gained / count, (count - lost - gained) / count)
    drawn = np.random.default_rng(seed).multinomial(count, shares, size=resamples)
    points = 100 * (drawn[:, 0] - drawn[:, 1]) / count
    low, high = np.quantile(points, (LEVEL, 1 - LEVEL))
    kept = (1 + int((points <= allowed_points).sum())) / (1 + resamples)
    return ScoreDrop(
        points=100 * (lost - gained) / count,
        interval=Interval(float(low), float(high)),
        p_value=max(kept, binomial_tail(lost, lost + gained)),
        mcnemar_p=mcnemar(lost, gained),
    )


def estimate_metric_drop(
    metric: Metric,
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    allowed: float,
    *,
    resamples: int,
    seed: int,
) -> ScoreDrop:
    """Return how much worse a metric's value is of one model than of another, by the paired bootstrap over rows.

    Args:
        metric: of the rows.
        ours: [N, K].
        theirs: [N, K], of the same samples.
        allowed: the largest drop that is no regression, as `edgekd.task.score_drop` counts it.
        resamples: draws, with replacement, the same for both.
        seed: of the draws.

    Raises:
        ValueError: if there are no rows, or others of one model than of the other.
    """
    import numpy as np

    if ours.shape != theirs.shape or not len(ours):
        raise ValueError(f"got rows {list(ours.shape)} and {list(theirs.shape)}, want two alike")
    value, (one, other) = settle_rows(metric, ours, theirs)
    random = np.random.default_rng(seed)
    drops = np.empty(resamples)
    for number in range(resamples):
        chosen = random.integers(0, len(one), len(one))
        drops[number] = score_drop(metric, value(one[chosen]), value(other[chosen]))
    low, high = np.quantile(drops, (LEVEL, 1 - LEVEL))
    return ScoreDrop(
        points=score_drop(metric, metric.value(ours), metric.value(theirs)),
        interval=Interval(float(low), float(high)),
        p_value=(1 + int((drops <= allowed).sum())) / (1 + resamples),
    )


def adjust_holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Each p-value as it counts among the others (Holm 1979): the chance that any of them is small
    by luck stays what it would be for one."""
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}

"""The interval of one model's score over its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekd.bench.proportion import wilson
from edgekd.bench.statistics import Interval
from edgekd.task import DRAWS
from edgekd.task import NORMAL_95
from edgekd.task import Metric
from edgekd.task import is_right_or_wrong

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def score_interval(metric: Metric, rows: NDArray[np.float64]) -> Interval:
    """95 % interval of a metric's value: Wilson's where every sample is right or wrong, else by the standard error of
    `DRAWS` bootstrap samples, always the same.

    Args:
        metric: whose rows they are.
        rows: [N, K].
    """
    import numpy as np

    value = metric.value(rows)
    if is_right_or_wrong(metric, rows):
        return wilson(value, len(rows))
    generator = np.random.default_rng(0)
    draws = (generator.integers(0, len(rows), len(rows)) for _ in range(DRAWS))
    half = NORMAL_95 * float(np.std([metric.value(rows[at]) for at in draws]))
    low, high = value - half, value + half
    return (
        Interval(max(0.0, low), min(1.0, high))
        if metric.unit == "fraction"
        else Interval(low, high)
    )

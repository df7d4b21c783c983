"""The interval of one model's score over its samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekd.bench.proportion import wilson
from edgekd.bench.statistics import Interval
from edgekd.sampling_error import NORMAL_95
from edgekd.sampling_error import is_right_or_wrong
from edgekd.sampling_error import value_error
from edgekd.task import Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def score_interval(metric: Metric, rows: NDArray[np.float64]) -> Interval:
    """95 % interval of a metric's value: Wilson's where every sample is right or wrong, else by `value_error`.

    Args:
        metric: whose rows they are.
        rows: [N, K].
    """
    value = metric.value(rows)
    if is_right_or_wrong(metric, rows):
        return wilson(value, len(rows))
    half = NORMAL_95 * value_error(metric, rows)
    low, high = value - half, value + half
    return (
        Interval(max(0.0, low), min(1.0, high))
        if metric.unit == "fraction"
        else Interval(low, high)
    )

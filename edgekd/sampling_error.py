"""How far a metric's value is off by the choice of samples, and whether two models differ by more. Numpy alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgekd.task import Metric
from edgekd.task import is_better
from edgekd.task import ratio
from edgekd.task import score_drop

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

NORMAL_95 = 1.96
"""Two-sided 95 % quantile of the normal distribution."""
DRAWS = 200
"""Bootstrap samples; what is asked is a standard error, which needs few."""


def is_worse(metric: Metric, rows: NDArray[np.float64], reference: NDArray[np.float64]) -> bool:
    """Return whether a model's value is worse than another's on the same samples, and not by chance: by more than one
    standard error of the difference.

    Where every row is one that is right or wrong (0 or 1, and 1): rows on which both are the same tell nothing; of
    the others, more are lost than won by over a standard error (McNemar 1947, Psychometrika 12). Else the error is
    that of the difference over `DRAWS` paired bootstrap samples (Efron 1979, Annals of Statistics 7), always the same.

    Args:
        metric: whose rows they are.
        rows: [N, K].
        reference: [N, K], of the same samples.

    Raises:
        ValueError: if they are rows of other numbers, or there are none.
    """

    if rows.shape != reference.shape or not len(rows):
        got = f"{list(rows.shape)} and {list(reference.shape)}"
        raise ValueError(f"{metric.name}: got rows {got}, want two alike")
    if not is_better(metric, metric.value(reference), metric.value(rows)):
        return False
    if is_right_or_wrong(metric, rows) and is_right_or_wrong(metric, reference):
        differing = int((rows[:, 0] != reference[:, 0]).sum())
        return abs(int(rows[:, 0].sum() - reference[:, 0].sum())) > math.sqrt(differing)
    return abs(metric.value(rows) - metric.value(reference)) > difference_error(
        metric, rows, reference
    )


def difference_error(
    metric: Metric, rows: NDArray[np.float64], reference: NDArray[np.float64]
) -> float:
    """The standard error of the difference of two models' values on the same samples: over `DRAWS` paired bootstrap
    samples, always the same.

    Args:
        metric: whose rows they are.
        rows: [N, K].
        reference: [N, K], of the same samples.
    """
    value, (one, other) = settle_rows(metric, rows, reference)
    return _error(lambda at: value(one[at]) - value(other[at]), len(one))


def value_error(metric: Metric, rows: NDArray[np.float64]) -> float:
    """The standard error of a model's value: over `DRAWS` bootstrap samples, always the same.

    Args:
        metric: whose rows they are.
        rows: [N, K].
    """
    value, (settled,) = settle_rows(metric, rows)
    return _error(lambda at: value(settled[at]), len(settled))


def settle_rows(
    metric: Metric, *models: NDArray[np.float64]
) -> tuple[Callable[[NDArray[np.float64]], float], tuple[NDArray[np.float64], ...]]:
    """Return rows [M, K] that may be drawn anew, of each model, and what makes a value of them.

    Args:
        metric: whose rows they are.
        models: rows [N, K] of each, of the same samples.
    """
    if metric.settle is None:
        return metric.value, models
    return ratio, tuple(metric.settle(rows) for rows in models)


def _error(value: Callable[[NDArray[np.int64]], float], count: int) -> float:
    import numpy as np

    generator = np.random.default_rng(0)
    draws = (generator.integers(0, count, count) for _ in range(DRAWS))
    return float(np.std([value(at) for at in draws]))


def drop_interval(
    metric: Metric, rows: NDArray[np.float64], reference: NDArray[np.float64]
) -> tuple[float, float]:
    """The 95 % interval of `score_drop` between two models on the same samples, by `difference_error`."""
    drop = score_drop(metric, metric.value(rows), metric.value(reference))
    points = 100 if metric.unit == "fraction" else 1
    half = NORMAL_95 * points * difference_error(metric, rows, reference)
    return drop - half, drop + half


def is_right_or_wrong(metric: Metric, rows: NDArray[np.float64]) -> bool:
    """Return whether a metric is the share of samples that are right, not wrong: each row [N, 2] is 0 or 1, and 1."""
    return bool(
        metric.value is ratio
        and (metric.unit, metric.better) == ("fraction", "higher")
        and rows.shape[1] == 2
        and (rows[:, 1] == 1).all()
        and ((rows[:, 0] == 0) | (rows[:, 0] == 1)).all()
    )

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from edgekd.bench.score_interval import score_interval
from edgekd.task import Metric
from edgekd.task import ratio
from edgekd.tasks.classification import TASK


def test_a_share_of_right_samples_has_wilsons_interval() -> None:
    rows = np.array([[1.0, 1.0]] * 93 + [[0.0, 1.0]] * 7)
    want = binomtest(93, 100).proportion_ci(0.95, "wilson")
    assert score_interval(TASK.score, rows) == pytest.approx((want.low, want.high), abs=1e-6)


def test_any_other_metric_has_one_as_wide_as_its_standard_error_says() -> None:
    metric = Metric(
        "mean", "number", "lower", lambda *_: np.zeros((0, 1)), lambda r: float(r.mean())
    )
    values = np.random.default_rng(1).normal(3.0, 2.0, size=(400, 1))
    low, high = score_interval(metric, values)
    assert (low + high) / 2 == pytest.approx(values.mean())
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.15)
    assert score_interval(metric, values) == (low, high)


def test_a_fraction_stays_one() -> None:
    metric = Metric("overlap", "fraction", "higher", lambda *_: np.zeros((0, 1)), ratio)
    low, high = score_interval(metric, np.array([[9.0, 9.0], [0.5, 1.0], [9.0, 9.0]]))
    assert 0.7 < low < high == 1.0

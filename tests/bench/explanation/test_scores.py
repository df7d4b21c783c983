"""Agreement sample by sample, and how much worse a model is than another."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.bench.explanation import scores
from edgekd.task import Metric


def test_the_farthest_apart_come_first_and_those_that_agree_not_at_all() -> None:
    found = scores.find_disagreements(np.array([1.0, 0.5, 0.0, 0.5, 1.0]))
    assert found.tolist() == [2, 1, 3]


@pytest.mark.parametrize(("better", "sign"), [("lower", 1), ("higher", -1)])
def test_a_drop_is_positive_where_the_model_is_worse(better: str, sign: int) -> None:
    def value(rows: np.ndarray) -> float:
        return float(rows.mean())

    metric = Metric("m", "number", better, lambda *_: np.zeros((1, 1)), value)
    reference = np.linspace(0, 1, 50)[:, None]
    found = scores.summarize_drop(metric, reference + 2, reference)
    assert found["score_drop"] == pytest.approx(2 * sign)
    low, high = found["score_drop_ci95"]
    assert low == pytest.approx(high)  # the same difference in every draw
    (row,) = scores.summarize_terms(metric, reference, {"kd": reference + 2})
    assert (row["term"], row["score_drop"]) == ("kd", pytest.approx(2 * sign))

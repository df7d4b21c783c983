"""Agreement sample by sample, and how much worse a model is than another."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.bench.explanation import gains
from edgekd.bench.explanation import score_summary
from edgekd.dataset import Dataset
from edgekd.fields import find_field
from edgekd.task import Metric
from edgekd.task import Task
from edgekd.task import ratio
from edgekd.tasks import classification
from tests import explanation_example


def test_the_farthest_apart_come_first_and_those_that_agree_not_at_all() -> None:
    found = score_summary.find_disagreements(np.array([1.0, 0.5, 0.0, 0.5, 1.0]))
    assert found.tolist() == [2, 1, 3]


@pytest.mark.parametrize(("better", "sign"), [("lower", 1), ("higher", -1)])
def test_a_drop_is_positive_where_the_model_is_worse(better: str, sign: int) -> None:
    def value(rows: np.ndarray) -> float:
        return float(rows.mean())

    metric = Metric("m", "number", better, lambda *_: np.zeros((1, 1)), value)
    reference = np.linspace(0, 1, 50)[:, None]
    found = score_summary.summarize_drop(metric, reference + 2, reference)
    assert found["score_drop"] == pytest.approx(2 * sign)
    low, high = found["score_drop_ci95"]
    assert low == pytest.approx(high)  # the same difference in every draw
    (row,) = score_summary.summarize_terms(metric, reference, {"kd": reference + 2})
    assert (row["term"], row["score_drop"]) == ("kd", pytest.approx(2 * sign))
    assert "points" not in row  # no share of right samples


def right_rows(text: str) -> np.ndarray:
    """``11.`` is right, right, wrong."""
    return np.array([[sign == "1", 1] for sign in text], np.float64)


def test_a_term_of_a_score_of_right_samples_is_tested_exactly() -> None:
    metric = Metric("read", "fraction", "higher", lambda *_: np.zeros((1, 1)), ratio)
    whole, without = right_rows("1" * 12), {"kd": right_rows("111111......")}
    (row,) = score_summary.summarize_terms(metric, whole, without)
    assert (row["term"], row["score"], row["score_of_all"]) == ("kd", 0.5, 1.0)
    assert (row["points"], row["lost"], row["corrected"]) == (-50, 6, 0)
    assert row["p_value"] == row["p_holm"] == pytest.approx(2 / 2**6)
    assert row["score_drop"] == 50


def test_a_share_of_wrong_samples_is_no_share_of_right_ones() -> None:
    metric = Metric("error", "fraction", "lower", lambda *_: np.zeros((1, 1)), ratio)
    assert score_summary.right_samples(metric, {"student": right_rows("11.")}) is None


def explain_classes(task: Task) -> dict[str, object]:
    logits, labels = explanation_example.answers()
    label = find_field("class").describe(
        labels, np.arange(len(labels)), names=explanation_example.CLASSES
    )
    data = Dataset(task="classification", inputs={}, targets={"labels": label})
    return explanation_example.summarize_scores(task, data, logits, labels)


def test_a_student_corrects_and_loses_what_its_score_counts_as_right() -> None:
    logits, labels = explanation_example.answers()
    right = {role: given.argmax(1) == labels for role, given in logits.items()}
    summary = explain_classes(classification.TASK)
    for role in ("control", "teacher"):
        want = gains.change_fields(gains.compare_answers(right[role], right["student"]))
        assert summary["above"][role] == want


def test_of_another_score_of_the_same_outputs_no_sample_is_right_or_wrong() -> None:
    task = classification.TASK._replace(metrics=classification.TASK.metrics[2:0:-1])
    summary = explain_classes(task)
    assert "above" not in summary and summary["metric"]["name"] == "macro F1"
    farthest = [row["agreement"] for row in summary["most_apart"]]
    assert farthest and set(farthest) == {0.0}

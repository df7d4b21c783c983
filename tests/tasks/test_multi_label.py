"""Several classes a sample: metrics against scikit-learn on any samples, decisions and chance by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgekd import task
from edgekd.dataset import Dataset
from edgekd.fields.classes import Classes
from edgekd.fields.number import Number
from edgekd.learn.chance import compute_standing
from edgekd.tasks import multi_label
from edgekd.tasks.multi_label import TASK


def dataset(classes: int) -> Dataset:
    return Dataset(
        task="multi-label",
        inputs={"x": Number(columns=("a",), mean=(0.0,), std=(1.0,))},
        targets={"labels": Classes(names=tuple(f"class {n}" for n in range(classes)))},
    )


@pytest.mark.parametrize("classes", [1, 4, 9])
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_metrics_are_those_of_scikit_learn_on_any_samples(
    classes: int, ties: bool, seed: int
) -> None:
    from sklearn import metrics

    generator = np.random.default_rng(seed)
    labels = (generator.random((61, classes)) < generator.random(classes)).astype(np.uint8)
    labels[0] = 1
    logits = generator.normal(size=labels.shape) + labels
    logits = np.round(logits) if ties else logits
    rows = task.metric_rows(TASK.metrics, {"logits": logits}, {"labels": labels}, dataset(classes))
    for draw in (np.arange(61), generator.integers(0, 61, 61), generator.integers(0, 61, 5)):
        y, p = labels[draw], logits[draw]
        got = {metric.name: metric.value(rows[metric.name][draw]) for metric in TASK.metrics}
        occurring = np.flatnonzero(y.any(0))
        each = [metrics.average_precision_score(y[:, n], p[:, n]) for n in occurring]
        assert got["mean average precision"] == pytest.approx(np.mean(each or [0]), abs=1e-12)
        want = metrics.f1_score(y, p > 0, average="micro", zero_division=0)
        if classes == 1:
            want = metrics.f1_score(y[:, 0], p[:, 0] > 0, zero_division=0)
        assert got["micro F1"] == pytest.approx(want, abs=1e-12)
        counted = np.flatnonzero(y.any(0) | (p > 0).any(0))
        each = [metrics.f1_score(y[:, n], p[:, n] > 0, zero_division=0) for n in counted]
        assert got["macro F1"] == pytest.approx(np.mean(each or [0]), abs=1e-12)


def test_nothing_there_and_nothing_named_is_no_number_to_stumble_over() -> None:
    rows = np.zeros((3, 4))
    for value in (
        multi_label.mean_average_precision,
        multi_label.micro_f1,
        multi_label.macro_f1,
    ):
        assert value(rows) == 0


def test_decisions_are_probabilities_of_each_class_alone() -> None:
    logits = np.array([[math.log(3), -math.log(3), 0], [-1e4, 1e4, 2]])
    made = TASK.decide({"logits": logits}, dataset(3))
    assert made["classes"].tolist() == [[True, False, False], [False, True, True]]
    np.testing.assert_allclose(made["probabilities"][0], [0.75, 0.25, 0.5], rtol=1e-15)
    assert made["probabilities"][1, :2].tolist() == [0, 1]
    assert TASK.describe(made, dataset(3), 2)[0] == [("class 0", 0.75), ("class 2", 0.5)]


def test_agreement_is_the_share_of_what_both_name() -> None:
    one = {"classes": np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0], [1, 0, 0]], bool)}
    other = {"classes": np.array([[1, 0, 1], [0, 0, 0], [0, 0, 0], [1, 0, 0]], bool)}
    assert TASK.agree(one, other) == pytest.approx([1 / 3, 1, 0, 1])


def test_the_guess_ranks_all_samples_alike_and_knows_nothing() -> None:
    labels = np.array([[1, 0], [1, 0], [1, 1], [0, 0]], np.uint8)
    guessed = TASK.guess({"labels": labels}, dataset(2))
    assert TASK.decide(guessed, dataset(2))["classes"].tolist() == [[True, False]] * 4
    score = task.compute_score(TASK, guessed, {"labels": labels}, dataset(2))
    assert score == pytest.approx((0.75 + 0.25) / 2, abs=1e-12)
    assert compute_standing(TASK, guessed, {"labels": labels}, dataset(2)).skill == 0
    assert (
        compute_standing(TASK, {"logits": labels * 2.0 - 1}, {"labels": labels}, dataset(2)).skill
        == 1
    )

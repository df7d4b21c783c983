"""Regression: metrics against scikit-learn on any samples, decisions and chance by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd import task
from edgekd.dataset import Dataset
from edgekd.fields.number import Number
from edgekd.tasks.regression import TASK


def dataset(targets: np.ndarray, unit: str = "") -> Dataset:
    field = Number.describe(targets, np.arange(len(targets)), unit=unit)
    inputs = {"x": Number(columns=("a",), mean=(0.0,), std=(1.0,))}
    return Dataset(task="regression", inputs=inputs, targets={"numbers": field})


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_metrics_are_those_of_scikit_learn_on_any_samples(columns: int, seed: int) -> None:
    from sklearn import metrics

    generator = np.random.default_rng(seed)
    targets = (1000 + generator.normal(size=(83, columns)) * 3).astype(np.float32)
    answers = (targets + generator.normal(size=targets.shape)).astype(np.float32)
    found = task.metric_rows(
        TASK.metrics, {"values": answers}, {"numbers": targets}, dataset(targets)
    )
    for draw in (np.arange(83), generator.integers(0, 83, 83), generator.integers(0, 83, 7)):
        y, p = targets[draw].astype(np.float64), answers[draw].astype(np.float64)
        want = {
            "RMSE": metrics.root_mean_squared_error(y, p),
            "MAE": metrics.mean_absolute_error(y, p),
            "R2": metrics.r2_score(y, p),
        }
        got = {metric.name: metric.value(found[metric.name][draw]) for metric in TASK.metrics}
        assert got == pytest.approx(want, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("answer", "want"), [(5.0, 1.0), (4.0, 0.0)])
def test_targets_that_are_all_alike_are_all_right_or_not(answer: float, want: float) -> None:
    from sklearn import metrics

    y, p = np.full((4, 1), 5.0), np.array([[5.0]] * 3 + [[answer]])
    rows = np.concatenate([p - y, y], axis=1)
    value = TASK.chance.value(rows)
    assert value == want == metrics.r2_score(y, p)


def test_answers_agree_by_their_distance_in_spreads() -> None:
    targets = np.array([[0.0], [20.0]], np.float32)  # mean 10, spread 10
    data = dataset(targets, "kg")
    one = TASK.decide({"values": np.full((5, 1), 10.0)}, data)
    other = TASK.decide({"values": np.array([[10.0], [10.09], [15.05], [20], [30]])}, data)
    assert TASK.agree(one, other) == pytest.approx([1, 1, 0.5, 0, 0], abs=0.003)
    assert TASK.agree(other, one).tolist() == TASK.agree(one, other).tolist()
    assert TASK.describe(other, data, 3)[1] == [("column 1: 10.09 kg", None)]


def test_the_guess_is_the_mean_and_knows_nothing() -> None:
    targets = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    data = dataset(targets)
    guessed = TASK.guess({"numbers": targets}, data)
    np.testing.assert_allclose(guessed["values"], np.tile(targets.mean(0), (50, 1)), atol=1e-6)
    assert task.skill(TASK, guessed, {"numbers": targets}, data) == pytest.approx(0, abs=1e-12)
    perfect = {"values": targets}
    assert task.skill(TASK, perfect, {"numbers": targets}, data) == 1
    assert task.score(TASK, perfect, {"numbers": targets}, data) == TASK.score.perfect == 0


def test_its_interface_is_the_targets_columns() -> None:
    data = dataset(np.zeros((2, 3), np.float32))
    found = task.interface_of(TASK, data)
    assert found.outputs[0].shape == ("batch", 3) and found.inputs[0].shape == ("batch", 1)
    assert found.sizes == {"columns": 1, "numbers": 3}

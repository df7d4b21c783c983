"""Regression: metrics against scikit-learn on any samples, decisions and chance by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd import task
from edgekd.dataset import Dataset
from edgekd.fields.number import Number
from edgekd.learn.chance import compute_standing
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
    numbers = (1000 + generator.normal(size=(83, columns)) * 3).astype(np.float32)
    data = dataset(numbers)
    field = data.targets["numbers"]
    assert isinstance(field, Number)
    targets = data.prepare_targets({"numbers": numbers})
    answers = {"values": targets["numbers"] + generator.normal(size=numbers.shape)}
    found = task.metric_rows(TASK.metrics, answers, targets, data)
    np.testing.assert_allclose(targets["numbers"] * field.std + field.mean, numbers, rtol=1e-6)
    whole = [
        each.astype(np.float64) * field.std + field.mean
        for each in (targets["numbers"], answers["values"])
    ]
    for draw in (np.arange(83), generator.integers(0, 83, 83), generator.integers(0, 83, 7)):
        y, p = whole[0][draw], whole[1][draw]
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
    one = TASK.decide({"values": np.zeros((5, 1))}, data)
    other = TASK.decide({"values": np.array([[0.0], [0.009], [0.505], [1], [2]])}, data)
    assert other["values"][:, 0] == pytest.approx([10, 10.09, 15.05, 20, 30])
    assert TASK.agree(one, other) == pytest.approx([1, 1, 0.5, 0, 0], abs=0.003)
    assert TASK.agree(other, one).tolist() == TASK.agree(one, other).tolist()
    assert TASK.describe(other, data, 3)[1] == [("column 1: 10.09 kg", None)]


def test_the_guess_is_the_mean_and_knows_nothing() -> None:
    numbers = (7 + 3 * np.random.default_rng(0).normal(size=(50, 2))).astype(np.float32)
    data = dataset(numbers)
    targets = data.prepare_targets({"numbers": numbers})
    guessed = TASK.guess(targets, data)
    wanted = np.tile(numbers.mean(0), (50, 1))
    np.testing.assert_allclose(TASK.decide(guessed, data)["values"], wanted, rtol=1e-6)
    assert compute_standing(TASK, guessed, targets, data).skill == pytest.approx(0, abs=1e-12)
    score = task.compute_score(TASK, guessed, targets, data)
    assert score == pytest.approx(float(numbers.std(0).mean()), rel=1e-6)
    perfect = {"values": targets["numbers"]}
    assert compute_standing(TASK, perfect, targets, data).skill == 1
    assert task.compute_score(TASK, perfect, targets, data) == TASK.score.perfect == 0


def test_its_interface_is_the_targets_columns() -> None:
    data = dataset(np.zeros((2, 3), np.float32))
    found = task.interface_of(TASK, data)
    assert found.outputs[0].shape == ("batch", 3) and found.inputs[0].shape == ("batch", 1)
    assert found.sizes == {"columns": 1, "numbers": 3}

"""Judged by agreement with the float model: numbers by hand, and properties."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.dataset import Dataset
from edgekd.fields.array import Array
from edgekd.interface import Tensor
from edgekd.learn.chance import compute_standing
from edgekd.task import compute_score
from edgekd.task import interface_of
from edgekd.task_check import require_runs
from edgekd.tasks.float_agreement import TASK
from edgekd.tasks.float_agreement import cosines


def data(**targets: Array) -> Dataset:
    inputs = {"x": Array(dtype="float32", shape=(3,))}
    return Dataset(task="float-agreement", inputs=inputs, targets=targets)


ONE = data(y=Array(dtype="float32", shape=(2,), spread=2.0))


def test_outputs_are_those_that_answered() -> None:
    ends = interface_of(TASK, ONE)
    assert ends.outputs == (Tensor("y", "float32", ("batch", 2), target="y"),)
    assert [end.name for end in ends.inputs] == ["x"]


def test_a_distance_counts_in_spreads() -> None:
    targets = {"y": np.zeros((2, 2), np.float32)}
    outputs = {"y": np.array([[1, 1], [0, 0]], np.float32)}  # distances 1 and 0, of a spread of 2
    assert compute_score(TASK, outputs, targets, ONE) == pytest.approx(1 - 0.5**0.5 / 2)
    far = {"y": np.full((2, 2), 100, np.float32)}
    assert compute_score(TASK, far, targets, ONE) == 0


def test_a_single_number_counts_too_which_no_angle_would_tell() -> None:
    single = data(y=Array(dtype="float32", shape=(1,), spread=0.5))
    targets, outputs = {"y": np.array([[0.9]])}, {"y": np.array([[0.4]])}
    assert cosines(outputs, targets, single) == pytest.approx(1)
    assert compute_score(TASK, outputs, targets, single) == 0


def test_the_same_answers_agree_wholly_and_the_mean_hardly() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    own = data(y=Array.describe(rows, np.arange(50)))
    assert compute_score(TASK, {"y": rows}, {"y": rows}, own) == 1
    assert compute_score(TASK, TASK.guess({"y": rows}, own), {"y": rows}, own) < 1e-6


KINDS = {
    "normal": lambda random: random.normal(size=(64, 5)),
    "rare": lambda random: (np.arange(64)[:, None] == 3) * 0.9,
    "constant": lambda random: np.full((64, 3), 7.5),
    "nearly constant": lambda random: 7.5 + 1e-6 * random.normal(size=(64, 3)),
    "zeros": lambda random: np.zeros((64, 2)),
    "tiny": lambda random: 1e-6 * random.random((64, 1)),
}


def score(got: np.ndarray, want: np.ndarray, **said: float) -> float:
    own = data(y=Array.describe(want, np.arange(len(want)), **said))
    return compute_score(TASK, {"y": got}, {"y": want}, own)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("said", [{}, {"size": 1.0}])
def test_properties(kind: str, said: dict[str, float]) -> None:
    random = np.random.default_rng(0)
    want = KINDS[kind](random).astype(np.float32)
    noise = random.normal(size=want.shape)
    own = data(y=Array.describe(want, np.arange(len(want)), **said))
    unit = max(own.targets["y"].to_json()["spread"], 0.01 * own.targets["y"].to_json()["size"]) or 1
    noisy = [(want + share * unit * noise).astype(np.float32) for share in (0.01, 0.1, 0.3, 2)]
    scores = [score(got, want, **said) for got in (want, *noisy)]
    assert scores[0] == 1
    assert scores == sorted(scores, reverse=True) and len(set(scores)) == len(scores)
    assert scores[-1] == 0 and scores[2] == pytest.approx(0.9, abs=0.03)
    if kind != "zeros" and not said:
        for factor in (1e-3, 32):
            scaled = score(
                (noisy[1] * factor).astype(np.float32), (want * factor).astype(np.float32)
            )
            assert scaled == pytest.approx(scores[2], abs=0.01)


def test_a_rounding_costs_nothing_where_answers_hardly_vary() -> None:
    random = np.random.default_rng(0)
    steady = np.full((32, 4), 100, np.float32)
    steady[0] += 1e-4
    assert score(steady * (1 + np.float32(2e-6)), steady) > 0.999
    # a wake word that nobody says: an engine's sigmoid differs in the seventh digit behind the point
    want = (3e-6 * random.random((32, 1))).astype(np.float32)
    got = want + (1e-7 * random.normal(size=want.shape)).astype(np.float32)
    assert score(got, want, size=1.0) > 0.9999
    assert score(got, want) < 0.95


def test_a_model_that_differs_by_rounding_is_no_guess_where_answers_hardly_vary() -> None:
    random = np.random.default_rng(0)
    for want in (1e-8 * random.random((32, 1)), np.full((32, 1), 0.3), np.zeros((32, 1))):
        rows = want.astype(np.float32)
        own = data(y=Array.describe(rows, np.arange(32), size=1.0))
        got = {"y": (rows + 1e-7 * random.normal(size=rows.shape)).astype(np.float32)}
        assert compute_standing(TASK, got, {"y": rows}, own).skill > 0.99
    varied = random.random((32, 1)).astype(np.float32)
    own = data(y=Array.describe(varied, np.arange(32), size=1.0))
    usual = {"y": np.full_like(varied, varied.mean())}
    assert compute_standing(TASK, usual, {"y": varied}, own).is_near_chance


def test_a_rare_answer_that_is_lost_costs_all() -> None:
    want = np.zeros((100, 1), np.float32)
    want[7] = 0.95
    assert score(np.zeros_like(want), want, size=1.0) < 0.01


def test_classes_agree_by_the_most_probable() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    own = data(y=Array.describe(probabilities, np.arange(2)))
    other = {"y": np.array([[0.6, 0.4], [0.6, 0.4]], np.float32)}
    decided = [TASK.decide(each, own) for each in ({"y": probabilities}, other)]
    assert TASK.agree(*decided).tolist() == [1, 0]
    assert TASK.describe(decided[0], own, 1)[1] == [("y: class 1", None)]


def test_it_runs_on_several_outputs() -> None:
    random = np.random.default_rng(0)
    rows = {
        "map": random.normal(size=(4, 1, 5, 5)).astype(np.float32),
        "state": np.zeros((4, 3), np.float32),
    }
    own = data(**{name: Array.describe(each, np.arange(4)) for name, each in rows.items()})
    require_runs(TASK, rows, own)
    assert "[1, 5, 5] from" in TASK.describe(TASK.decide(rows, own), own, 2)[0][0][0]


def test_of_many_classes_a_few_that_change_do_count() -> None:
    want = np.zeros((20, 2000), np.float32)
    want[:, 0] = 1  # nearly always the same
    want[3:5] = np.eye(2000, dtype=np.float32)[7:9]
    assert score(np.eye(2000, dtype=np.float32)[np.zeros(20, int)], want) < 0.1

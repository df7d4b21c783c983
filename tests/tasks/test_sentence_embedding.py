"""Sentence embedding: recall against a search by hand and Spearman against scipy on any samples; chance."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from edgekd import task
from edgekd.dataset import Dataset
from edgekd.fields.pairs import Pairs
from edgekd.fields.tokens import Tokens
from edgekd.learn.chance import compute_standing
from edgekd.sampling_error import difference_error
from edgekd.sampling_error import value_error
from edgekd.tasks.sentence_embedding import TASK

GOLDEN = json.loads(Path(__file__).with_name("embedding_golden.json").read_text())


def dataset(dimensions: int = 5, *, scored: bool = True) -> Dataset:
    return Dataset(
        task="sentence-embedding",
        inputs={"text": Tokens(vocabulary=9, usual=2, longest=4)},
        targets={"pairs": Pairs(dimensions=dimensions, scored=scored)},
    )


def measure(vectors: np.ndarray, numbers: np.ndarray, scores: np.ndarray) -> dict[str, np.ndarray]:
    targets = {"pairs": np.stack([numbers, np.arange(len(numbers)), scores], 1).astype(np.float64)}
    return task.metric_rows(
        TASK.metrics, {"embedding": vectors}, targets, dataset(vectors.shape[1])
    )


def search(vectors: np.ndarray, numbers: np.ndarray, among: int) -> float:
    """The same, text by text."""
    units = [each / np.linalg.norm(each) for each in vectors]
    found = []
    for at, number in enumerate(numbers):
        others = [n for n in range(len(numbers)) if n != at]
        if number not in numbers[others]:
            continue
        nearest = sorted(others, key=lambda n: -float(units[at] @ units[n]))[:among]
        found.append(any(numbers[n] == number for n in nearest))
    return float(np.mean(found)) if found else 0.0


@pytest.mark.parametrize("seed", range(5))
def test_metrics_are_those_of_a_search_by_hand_and_of_scipy(seed: int) -> None:
    generator = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(12), 2)[generator.permutation(24)]
    centres = generator.normal(size=(12, 5))
    vectors = (centres[numbers] + 0.8 * generator.normal(size=(24, 5))).astype(np.float32)
    scores = generator.integers(0, 4, 12)[numbers]
    rows = measure(vectors, numbers, scores)
    for chosen in (np.arange(24), np.arange(17)):
        got = {metric.name: metric.value(rows[metric.name][chosen]) for metric in TASK.metrics}
        assert got["recall@1"] == search(vectors[chosen], numbers[chosen], 1)
        assert got["recall@5"] == search(vectors[chosen], numbers[chosen], 5)
        both = [np.flatnonzero(numbers[chosen] == n) for n in range(12)]
        units = vectors[chosen] / np.linalg.norm(vectors[chosen], axis=1, keepdims=True)
        pairs = [
            (units[a] @ units[b], scores[chosen][a]) for a, b in (p for p in both if len(p) == 2)
        ]
        want = stats.spearmanr(*zip(*pairs, strict=True)).statistic
        assert got["Spearman"] == pytest.approx(want, abs=1e-6)


def test_groups_that_are_drawn_anew_keep_whom_they_are_compared_with() -> None:
    generator = np.random.default_rng(3)
    numbers = np.repeat(np.arange(40), 2)[generator.permutation(80)]
    vectors = generator.normal(size=(40, 8))[numbers] + generator.normal(size=(80, 8))
    others = vectors + 0.5 * generator.normal(size=(80, 8))
    rows, other_rows = (
        measure(each, numbers, np.zeros(80))["recall@1"] for each in (vectors, others)
    )
    metric = TASK.metrics[0]
    assert metric.settle is not None
    groups = metric.settle(rows)
    assert groups.shape == (40, 2) and (groups[:, 1] == 2).all()
    assert task.ratio(groups) == metric.value(rows) == search(vectors, numbers, 1)
    found = groups[:, 0] / 2
    assert value_error(metric, rows) == pytest.approx(found.std() / 40**0.5, rel=0.15)
    apart = (groups - metric.settle(other_rows))[:, 0] / 2
    assert difference_error(metric, rows, other_rows) == pytest.approx(
        apart.std() / 40**0.5, rel=0.15
    )


def test_a_text_that_comes_twice_is_not_its_own_nearest() -> None:
    vectors = np.array(
        [[1, 0], [0, 1], [0.9, 0.1], [0.1, 0.9]]
    )  # each nearest to one of the other pair
    rows = measure(vectors, np.array([0, 0, 1, 1]), np.zeros(4))["recall@1"]
    recall = TASK.metrics[0].value
    assert recall(rows) == recall(rows[[0, 1, 2, 3, 0, 1, 1]]) == 0
    assert recall(rows[:1]) == recall(rows[[0, 2]]) == 0
    assert TASK.metrics[2].value(rows) == TASK.metrics[2].value(rows[:2]) == 0


def test_spearman_of_the_reference() -> None:
    """Of reference/golden_tasks.json: cosines of every two of its vectors, gold = round(2 cos of the teacher's)."""
    student, teacher = (np.array(GOLDEN[name]) for name in ("student", "teacher"))
    units = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (student, teacher)]
    count = len(student)
    vectors, numbers, scores = [], [], []
    for i in range(count):
        for j in range(count):
            if i != j:
                vectors += [units[0][i], units[1][j]]
                numbers += [len(numbers) // 2] * 2
                scores += [float(np.round(2 * units[1][i] @ units[1][j]))] * 2
    rows = measure(np.array(vectors), np.array(numbers), np.array(scores))
    want = GOLDEN["values"]["sts_spearman"]["value"]
    assert TASK.metrics[2].value(rows["Spearman"]) == pytest.approx(want, abs=1e-9)


def test_spearman_is_asked_for_where_it_is_said_how_alike_texts_are() -> None:
    assert [m.name for m in task.list_fitting(TASK.metrics, dataset(scored=False))] == [
        "recall@1",
        "recall@5",
    ]


def test_decisions_are_of_length_one_and_agree_by_their_angle() -> None:
    made = TASK.decide({"embedding": np.array([[3.0, 4.0], [0.0, 2.0]])}, dataset(2))
    assert made["embedding"].tolist() == [[0.6, 0.8], [0, 1]]
    other = TASK.decide({"embedding": np.array([[4.0, 3.0], [0.0, -1.0]])}, dataset(2))
    assert TASK.agree(made, other) == pytest.approx([0.96, 0])
    assert TASK.describe(made, dataset(2), 1)[0] == [("2 numbers: 0.600 0.800 ...", None)]


def test_vectors_near_chance_are_not_put_down_to_labels() -> None:
    assert TASK.explain_chance is not None
    vectors = {"embedding": np.ones((4, 5), np.float32)}
    targets = {"pairs": np.zeros((4, 3))}
    causes = TASK.explain_chance(vectors, targets, dataset(5))
    assert "pairs whose texts say different things" in causes and "label" not in causes


def test_the_guess_tells_no_two_texts_apart() -> None:
    numbers = np.repeat(np.arange(20), 2)[::-1]
    targets = {"pairs": np.stack([numbers, np.arange(40), np.zeros(40)], 1)}
    vectors = np.random.default_rng(0).normal(size=(20, 32))[numbers]
    standing = compute_standing(TASK, {"embedding": vectors}, targets, dataset(32))
    assert standing.value == 1 and standing.chance < 0.1
    assert task.interface_of(TASK, dataset(32)).outputs[0].shape == ("batch", 32)

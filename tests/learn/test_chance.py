"""Is a teacher near chance, and why."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.learn import chance
from edgekd.tasks.classification import TASK
from tests import data_example


def answers(labels: np.ndarray, right: dict[int, float], classes: int) -> np.ndarray:
    """Logits that are right on the given share of each class, else name the next class."""
    said = labels.copy()
    for number, share in right.items():
        of_class = np.flatnonzero(labels == number)
        said[of_class[round(share * len(of_class)) :]] = (number + 1) % classes
    return np.eye(classes, dtype=np.float32)[said]


def standing(logits: np.ndarray, labels: np.ndarray) -> chance.Standing:
    field = data_example.image(1, 1)
    found = data_example.labelled(field, data_example.names(logits.shape[1]))
    return chance.compute_standing(TASK, {"logits": logits}, {"labels": labels}, found)


def test_a_rare_class_counts_as_much_as_a_common_one() -> None:
    labels = np.array([0] * 950 + [1] * 50)
    good = standing(answers(labels, {0: 0.92, 1: 0.86}, 2), labels)
    assert good[1:] == pytest.approx((0.89, 0.5)) and not good.is_near_chance
    # right on 95 %, by naming the commonest class alone
    always = standing(np.eye(2, dtype=np.float32)[np.zeros_like(labels)], labels)
    assert always[1:] == (0.5, 0.5) and always.is_near_chance


def test_a_tenth_of_the_way_is_near_chance() -> None:
    labels = np.repeat(np.arange(10), 100)
    for share, near in ((0.18, True), (0.20, False)):
        found = standing(answers(labels, dict.fromkeys(range(10), share), 10), labels)
        assert found.is_near_chance is near


def test_classes_without_a_sample_do_not_count() -> None:
    labels = np.repeat(np.arange(4), 10)
    assert standing(np.eye(100, dtype=np.float32)[labels], labels)[1:] == (1.0, 0.25)
    alone = np.zeros(5, np.int64)
    assert not standing(np.eye(3, dtype=np.float32)[alone], alone).is_near_chance

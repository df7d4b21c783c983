"""What a task measures, on answers counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd import task


def logits(*classes: int) -> np.ndarray:
    return np.eye(3)[list(classes)]


def test_accuracy_and_agreement() -> None:
    told = logits(0, 1, 2, 2)
    assert task.top1_accuracy(told, np.array([0, 1, 2, 0])) == 0.75
    assert task.top1_agreement(told, logits(0, 0, 0, 2)) == 0.5


def test_nothing_has_no_accuracy() -> None:
    with pytest.raises(ValueError, match="want"):
        task.top1_accuracy(np.zeros((0, 3)), np.zeros(0))


@pytest.mark.parametrize(
    ("lost", "won", "behind"),
    [(0, 0, False), (1, 0, False), (2, 0, True), (9, 5, True), (9, 6, False), (5, 9, False)],
)
def test_behind_is_more_than_a_standard_error_of_what_differs(
    lost: int, won: int, behind: bool
) -> None:
    alike = [0] * 50
    labels = np.array([0] * lost + [0] * won + alike)
    before = logits(*[0] * lost, *[1] * won, *alike)
    after = logits(*[1] * lost, *[0] * won, *alike)
    assert task.falls_behind(after, before, labels) is behind

"""Any number of classes a sample: zeros and ones, one column a class."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.fields.classes import Classes

FIELD = Classes(names=("cat", "dog", "hat"))


def test_zeros_and_ones_are_their_own_targets() -> None:
    rows = np.array([[1, 0, 1], [0, 0, 0]], np.uint8)
    FIELD.check(rows, "train")
    assert FIELD.prepare("labels", rows)["labels"].tolist() == rows.tolist()
    assert FIELD.target_sizes() == {"classes": 3}
    mixed = FIELD.mix("labels", rows, rows[::-1], np.array([[0.25], [1]], np.float32))
    assert mixed["labels"].tolist() == [[0.25, 0, 0.25], [0, 0, 0]]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.array([[1, 0, 2]], np.uint8), "train: got 2 in uint8"),
        (np.zeros((2, 2), np.uint8), r"want uint8 \[N, 3\] of 0 and 1"),
        (np.zeros(3, np.uint8), r"got uint8 \[3\]"),
        (np.zeros((2, 3)), "got float64"),
        (np.zeros((0, 3), np.uint8), "got uint8"),
    ],
)
def test_other_rows_are_refused(rows: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says):
        FIELD.check(rows, "train")


def test_one_class_is_enough_and_none_is_not() -> None:
    assert Classes(names=("hat",)).sizes() == {"classes": 1}
    for names in ((), ("a", "a"), ("",), ["a"]):
        with pytest.raises(ValueError, match="got"):
            Classes(names=names)

"""Pairs: which samples belong together; numbers and scores as they are."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.fields.pairs import Pairs

FIELD = Pairs(dimensions=8, scored=True)


def test_rows_are_given_as_they_are() -> None:
    rows = np.array([[0, 0, 1.5], [0, 1, 1.5], [7, 0, -2]], np.float64)
    FIELD.check(rows, "train")
    (given,) = FIELD.prepare("pairs", rows).values()
    assert given.tolist() == rows.tolist() and FIELD.target_sizes() == {"dimensions": 8}
    assert Pairs.from_json(FIELD.to_json()) == FIELD


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.zeros((2, 3), np.float32), r"got float32 \[2, 3\], want float64 \[N, 3\]"),
        (np.zeros((2, 2)), "want float64"),
        (np.zeros((0, 3)), "got no samples"),
        (np.array([[0, 0, 0], [0.5, 0, 0]]), "got 0.5, 0, 0 in sample 1, want two whole"),
        (np.array([[-1.0, 0, 0]]), "got -1, 0, 0 in sample 0"),
        (np.array([[1.0, 0.5, 0]]), "got 1, 0.5, 0 in sample 0"),
        (np.array([[1.0, 0, np.nan]]), "got 1, 0, nan in sample 0"),
        (np.array([[np.inf, 0.0, 0]]), "in sample 0"),
    ],
)
def test_other_rows_are_refused(rows: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says):
        FIELD.check(rows, "train")


@pytest.mark.parametrize("changes", [{"dimensions": 1}, {"dimensions": 2.0}, {"scored": 1}])
def test_what_cannot_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="got"):
        Pairs(**{"dimensions": 8, **changes})  # type: ignore[arg-type]

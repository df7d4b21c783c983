"""One class a sample: which numbers and names there may be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.fields.label import Label


def test_numbers_are_their_own_strata_and_targets() -> None:
    rows = np.array([1, 0, 1])
    field = Label(names=("cat", "dog"))
    field.check(rows, "train")
    assert field.prepare("labels", rows)["labels"].tolist() == [1, 0, 1]
    assert field.strata(rows).tolist() == [1, 0, 1] and field.sizes() == {"classes": 2}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.array([0, 2]), "got label 2, want 0 to 1"),
        (np.array([-1, 1]), "got label -1"),
        (np.array([0.0, 1.0]), "want int64"),
        (np.zeros((2, 1), np.int64), "want int64"),
        (np.zeros(0, np.int64), "no samples"),
    ],
)
def test_other_numbers_are_refused(rows: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says):
        Label(names=("cat", "dog")).check(rows, "train")


@pytest.mark.parametrize(
    "names", [("a",), ("a", "a"), ("a", ""), ("a", "b\n"), ("a", 1), ["a", "b"]]
)
def test_names_that_cannot_be_are_refused(names: Any) -> None:
    with pytest.raises(ValueError, match="got"):
        Label(names=names)

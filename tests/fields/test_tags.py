"""Tags: a class of every token, padded with what counts for nothing."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.field import from_rows
from edgekd.fields.tags import Tags

FIELD = Tags(names=("O", "B-PER", "I-PER"))


def ragged(*rows: list[int], dtype: type = np.int64) -> RaggedRows:
    return from_rows([np.array(row, dtype) for row in rows], np.zeros(0, dtype))


def test_a_batch_is_filled_up_with_what_counts_for_nothing() -> None:
    rows = ragged([0, 1, -100], [2])
    FIELD.check(rows, "train")
    (given,) = FIELD.prepare("tags", rows).values()
    assert given.dtype == np.int64 and given.tolist() == [[0, 1, -100], [2, -100, -100]]
    assert FIELD.target_sizes() == {"classes": 3}
    assert Tags.from_json(FIELD.to_json()) == FIELD


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.zeros((2, 3), np.int64), r"want ragged int32 or int64 \[N, \*\]"),
        (ragged([0], dtype=np.int16), "got ragged int16"),
        (ragged(), "want ragged int32"),
        (ragged([0, 1], [3]), "train: got class 3 in sample 1, want 0 to 2, or -100 for none"),
        (ragged([-1]), "got class -1 in sample 0"),
    ],
)
def test_other_rows_are_refused(rows: RaggedRows, says: str) -> None:
    with pytest.raises(InputError, match=says):
        FIELD.check(rows, "train")


@pytest.mark.parametrize("ignored", [0, 2, 1.5, None, 2**40])
def test_what_counts_for_nothing_is_no_class(ignored: object) -> None:
    with pytest.raises(ValueError, match="ignored"):
        Tags(names=("O", "B-PER", "I-PER"), ignored=ignored)  # type: ignore[arg-type]

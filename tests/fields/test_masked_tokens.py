"""Masked tokens: what may be asked for, how many are, and what data.json may say of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekd import fields
from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.field import from_rows
from edgekd.fields.masked_tokens import MaskedTokens

FACTS: dict[str, Any] = {"vocabulary": 9, "mask_token": 8, "special": (0, 8)}
FIELD = MaskedTokens(**FACTS)


def ragged(*rows: list[int], dtype: type = np.int32) -> RaggedRows:
    return from_rows([np.array(row, dtype) for row in rows], np.zeros(0, dtype))


def test_a_batch_is_filled_up_and_data_json_gives_it_back() -> None:
    rows = ragged([1, -100, 3], [2])
    FIELD.check(rows, "train")
    (given,) = FIELD.prepare("masked_tokens", rows).values()
    assert given.dtype == np.int64 and given.tolist() == [[1, -100, 3], [2, -100, -100]]
    assert FIELD.target_sizes() == {"vocabulary": 9}
    assert fields.from_json(FIELD.to_json()) == FIELD


@pytest.mark.parametrize("count", [1, 2, 6, 7, 10, 13, 20, 30, 100])
def test_as_many_are_asked_for_as_bert_asks_for(count: int) -> None:
    """create_pretraining_data.py of BERT: max(1, int(round(tokens * 0.15)))."""
    rows = ragged([-100, *[3] * count, -100], [4, -100])
    assert FIELD.count_asked(rows).tolist() == [count, 1]
    assert FIELD.count_compared(rows).tolist() == [max(1, round(count * 0.15)), 1]
    every = MaskedTokens(**FACTS, share=1.0)
    assert every.count_compared(rows).tolist() == [count, 1]


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (ragged([1], [-100, -100]), "train: got no token to be told in sample 1"),
        (ragged([9]), "train: got token 9 in sample 0, want 0 to 8, or -100 for none"),
        (ragged([1], dtype=np.int16), "got ragged int16"),
        (np.zeros((2, 3), np.int64), "want ragged int32 or int64"),
        (ragged(), "want ragged int32"),
    ],
)
def test_other_rows_are_refused(rows: RaggedRows, says: str) -> None:
    with pytest.raises(InputError, match=says):
        FIELD.check(rows, "train")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"mask_token": 9}, "mask_token 9, want a whole number from 0 to 8"),
        ({"mask_token": -1}, "mask_token -1"),
        ({"mask_token": 2.5}, "mask_token 2.5"),
        ({"special": (0, 9)}, "special 9"),
        ({"special": (8, 0)}, "out of order"),
        ({"special": (0, 0)}, "out of order"),
        ({"special": tuple(range(9))}, "all tokens"),
        ({"special": "08"}, "no list"),
        ({"share": 0}, "share 0, want more"),
        ({"share": 1.5}, "share 1.5"),
        ({"share": float("nan")}, "share nan"),
        ({"share": True}, "share True"),
        ({"mask_share": 0.8, "random_share": 0.3}, "1.1 together"),
        ({"ignored": 3}, "ignored 3, which is a token"),
        ({"vocabulary": 2**40}, "vocabulary"),
    ],
)
def test_a_stranger_s_data_json_is_refused(changed: dict[str, Any], says: str) -> None:
    value = {**FIELD.to_json(), **changed}
    with pytest.raises(ValueError, match=says):
        fields.from_json(value)

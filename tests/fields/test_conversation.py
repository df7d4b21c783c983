"""The field of conversations: what data.json of a stranger may say of it, and the share of next tokens that counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekd import fields
from edgekd.dataset import Dataset
from edgekd.errors import InputError
from edgekd.field import from_rows
from edgekd.fields.conversation import END_BYTE
from edgekd.fields.next_tokens import NextTokens
from edgekd.fields.tokens import Tokens

BYTES: dict[str, Any] = {
    "kind": "conversation",
    "vocabulary": 257,
    "usual": 4,
    "longest": 9,
    "encoding": "bytes",
    "end": END_BYTE,
}


def test_words_become_all_their_bytes_and_lose_the_first_ones() -> None:
    field = fields.from_json(BYTES)
    assert field.read(b" Q: a\n").row(0).tolist() == [byte + 1 for byte in b" Q: a\n"]
    assert field.read("0123456789é".encode()).row(0).tolist() == [
        byte + 1 for byte in "3456789é".encode()
    ]
    assert field.describe_cut("0123456789é".encode()) == "cut to 9 of 12 bytes"
    assert (
        field.find_end()
        == END_BYTE
        == Dataset(task="", inputs={"text": field}, targets={}).find_answer_end()
    )
    words = Tokens(vocabulary=11, usual=2, longest=2)
    assert Dataset(task="", inputs={"text": words}, targets={}).find_answer_end() is None
    assert field.preview(np.array([[98, 99]])) == "ab"
    with pytest.raises(InputError, match="want text in UTF-8"):
        field.read(b"\xff")


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"end": 257}, "end 257, want a whole number from 0 to 256"),
        ({"end": None}, "end None"),
        ({"before": 5}, "before int, want text"),
        ({"behind": "x" * 70_000}, "behind 70000 characters"),
        ({"template": "abc"}, "a template that is no digest"),
        ({"template": ["a"]}, "a template that is no digest"),
        ({"before": "<user>"}, "'<user>' around words, and no template"),
    ],
)
def test_what_a_stranger_says_of_it_is_checked(said: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        fields.from_json({**BYTES, **said})


def test_the_share_that_counts_is_that_of_the_rows_that_are_trained_on() -> None:
    none = np.zeros(0, np.int32)
    rows = from_rows([np.array(r, np.int32) for r in ([-100, 1], [2, 3, 4], [-100, 5, 6])], none)
    field = NextTokens.describe(rows, np.array([0, 2]), vocabulary=11)
    assert field.share == field.compared_share() == 3 / 5
    compared = field.count_compared(rows)
    assert compared is not None and compared.tolist() == [1, 3, 2]
    assert NextTokens.from_json(field.to_json()) == field
    whole = NextTokens.describe(rows, np.array([1]), vocabulary=11)
    assert "share" not in whole.to_json() and whole.count_compared(rows) is None
    for share in (0, 1.5, "x", None):
        with pytest.raises(ValueError, match="share"):
            NextTokens.from_json({"vocabulary": 11, "share": share})

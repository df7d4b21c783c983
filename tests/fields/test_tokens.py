"""Tokens: padded to the longest of the batch, none beyond the vocabulary or the longest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.field import from_rows
from edgekd.fields import FIELDS
from edgekd.fields.tokens import Tokens
from edgekd.fields.tokens import encode_text
from edgekd.interface import Axis
from edgekd.interface import Tensor

FIELD = Tokens(vocabulary=50, usual=3, longest=6, padding=9)


def ragged(*rows: list[int]) -> RaggedRows:
    return from_rows([np.array(row, np.int32) for row in rows], np.zeros(0, np.int32))


@given(st.lists(st.lists(st.integers(0, 49), min_size=1, max_size=6), min_size=1, max_size=5))
def test_a_batch_is_padded_to_its_longest_and_the_mask_gives_the_rows_back(
    rows: list[list[int]],
) -> None:
    whole = ragged(*rows)
    FIELD.check(whole, "train")
    given = FIELD.prepare("text", whole)
    assert list(given) == [tensor.name for tensor in FIELD.tensors("text")]
    assert all(each.dtype == np.int64 for each in given.values())
    assert given["text"].shape == given["text_mask"].shape == (len(rows), max(map(len, rows)))
    back = [
        t[m == 1].tolist()
        for t, m in zip(given["text"], given["text_mask"].astype(int), strict=True)
    ]
    assert back == rows
    assert set(given["text"][given["text_mask"] == 0].tolist()) <= {9}


def test_it_is_two_inputs_over_one_free_axis() -> None:
    shape = ("batch", "text_length")
    assert FIELD.tensors("text") == (
        Tensor("text", "int64", shape, "index", below=50),
        Tensor("text_mask", "int64", shape, "mask"),
    )
    assert FIELD.axes("text") == (Axis("text_length", 1, 3, 6),)
    assert [axis.name for axis in FIELD.axes("x")] == [f"x_{a}" for a in FIELDS["tokens"].axes]
    assert FIELD.sizes() == {"vocabulary": 50, "longest": 6}


def test_it_is_described_by_what_is_trained_on_unless_said_otherwise() -> None:
    rows = ragged([1] * 9, [1], [1, 2], [1, 2, 3, 4])
    order = np.array([1, 2, 3])
    found = Tokens.describe(rows, order, vocabulary=50)
    assert (found.usual, found.longest, found.padding) == (2, 9, 0)
    assert Tokens.describe(rows, order, vocabulary=50, longest=20, usual=16).usual == 16
    assert Tokens.describe(rows, np.array([0]), vocabulary=50, longest=4).usual == 4
    with pytest.raises(ValueError, match="want ragged"):
        Tokens.describe(np.zeros((2, 3), np.int64), order, vocabulary=50)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (ragged([1], [2, 50]), "train: got token 50 in sample 1, want 0 to 49"),
        (ragged([1], [2], [-1]), "got token -1 in sample 2"),
        (ragged([1], []), "got 0 tokens in sample 1, want 1 to 6"),
        (ragged([1] * 7), "got 7 tokens in sample 0"),
        (ragged(), "want ragged"),
        (np.zeros((2, 3), np.int64), r"got int64 \[2, 3\]"),
        (RaggedRows(np.zeros(1), np.array([0, 1])), "got ragged float64"),
        (RaggedRows(np.zeros((1, 2), np.int64), np.array([0, 1])), "want one axis"),
    ],
)
def test_other_rows_are_refused(rows: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        FIELD.check(rows, "train")


@pytest.mark.parametrize(
    "changes",
    [
        {"vocabulary": 1},
        {"vocabulary": 2.0},
        {"usual": 7},
        {"longest": 0},
        {"padding": 50},
        {"padding": -1},
    ],
)
def test_what_no_tokens_can_be_is_refused(changes: dict[str, Any]) -> None:
    facts = {"vocabulary": 50, "usual": 3, "longest": 6, "padding": 9}
    with pytest.raises(ValueError, match="want a whole number from"):
        Tokens(**{**facts, **changes})


def test_what_a_user_writes_is_read() -> None:
    assert [row.tolist() for row in FIELD.read(b"[1, 2, 3]")] == [[1, 2, 3]]
    assert [row.tolist() for row in FIELD.read(b"[[1], [2, 3]]")] == [[1], [2, 3]]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"hello", "want JSON"),
        (b"[1.5]", "want tokens as JSON"),
        (b"[true]", "want tokens as JSON"),
        (b"3", "want tokens as JSON"),
        (b"[[1], 2]", "want tokens as JSON"),
        (b"[1" + b"0" * 30 + b"]", "want tokens as JSON"),
        (b"[]", "got 0 tokens"),
        (b"[50]", "got token 50"),
        (b"[1,1,1,1,1,1,1]", "got 7 tokens"),
    ],
)
def test_what_is_no_sample_is_refused(text: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        FIELD.read(text)


BYTES = Tokens(vocabulary=257, usual=3, longest=6, encoding="bytes")


@given(st.text(st.characters(codec="utf-8"), max_size=3))
def test_plain_text_is_read_where_its_encoding_is_known(text: str) -> None:
    encoded = text.strip().encode()
    if not encoded:
        with pytest.raises(InputError, match="tokens in sample 0, want 1 to 6"):
            BYTES.read(text.encode())
        return
    (row,) = BYTES.read(text.encode())
    assert bytes(int(token) - 1 for token in row) == encoded[:6]
    assert (row > 0).all()
    assert encode_text(text).tolist()[:6] == row.tolist()
    assert bool(BYTES.describe_cut(text.encode())) == (len(encoded) > 6)


def test_text_that_is_none_is_refused_and_the_encoding_is_part_of_the_field() -> None:
    with pytest.raises(InputError, match="want text in UTF-8"):
        BYTES.read(b"\xff")
    assert Tokens.from_json(BYTES.to_json()) == BYTES
    facts = {"vocabulary": 257, "usual": 3, "longest": 6}
    for wrong in ({"encoding": "words"}, {"encoding": 1}, {"encoding": ["bytes"]}):
        with pytest.raises(ValueError, match="encoding"):
            Tokens(**facts, **wrong)
    for wrong in ({"vocabulary": 256}, {"padding": 1}):
        with pytest.raises(ValueError, match="want 257 and 0 for bytes"):
            Tokens(**{**facts, **wrong}, encoding="bytes")

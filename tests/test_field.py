"""Rows of different lengths, and fields as JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd import field
from edgekd import fields
from edgekd.errors import InputError
from edgekd.field import find_row_numbers
from edgekd.field import sum_lengths
from edgekd.fields.boxes import Boxes
from edgekd.fields.classes import Classes
from edgekd.fields.image import Image
from edgekd.fields.label import Label
from edgekd.fields.map import Map
from edgekd.fields.number import Number
from edgekd.fields.tokens import Tokens


@given(st.lists(st.lists(st.integers(0, 99), max_size=5), max_size=8), st.data())
def test_ragged_rows_are_the_rows_that_were_put_in(
    rows: list[list[int]], data: st.DataObject
) -> None:
    like = np.zeros(0, np.int64)
    whole = field.from_rows([np.array(row, np.int64) for row in rows], like)
    assert [row.tolist() for row in whole] == rows and len(whole) == len(rows)
    assert whole.lengths.tolist() == [len(row) for row in rows]
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=6)) if rows else []
    part = whole[np.array(chosen, np.int64)]
    assert [row.tolist() for row in part] == [rows[at] for at in chosen]


EXAMPLES = [
    Image(height=2, width=3, channels=1, mean=(0.5,), std=(1.0,)),
    Label(names=("a", "b")),
    Classes(names=("a", "b")),
    Number(columns=("a", "b"), mean=(1.5, 2.0), std=(1.0, 0.5), unit="m"),
    Tokens(vocabulary=9, usual=2, longest=3, padding=1),
    Map(height=2, width=3, names=("a", "b"), ignored=-1),
    Boxes(height=2, width=3, names=("a",)),
]


@pytest.mark.parametrize("one", EXAMPLES)
def test_json_gives_a_field_back(one: field.Field) -> None:
    assert fields.from_json(json.loads(json.dumps(one.to_json()))) == one


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "want a mapping"),
        ({"kind": "imag"}, "did you mean 'image'"),
        ({"kind": "class"}, "names"),
        ({"kind": "class", "names": ["a", "b"], "name": 1}, "did you mean 'names'"),
        ({"kind": "class", "names": "ab"}, "str as names"),
    ],
)
def test_what_a_stranger_wrote_is_named(value: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        fields.from_json(value)


def test_a_target_is_no_input() -> None:
    with pytest.raises(ValueError, match="no model takes"):
        Label(names=("a", "b")).tensors("labels")


def test_what_cannot_be_read_says_so() -> None:
    with pytest.raises(InputError, match="'class' is not read from"):
        Label(names=("a", "b")).read(b"a")


def test_every_kind_is_what_it_is_called() -> None:
    assert {name: entry.load().kind for name, entry in fields.FIELDS.items()} == {
        name: name for name in fields.FIELDS
    }


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(st.sampled_from(EXAMPLES), JSON, st.data())
def test_whatever_a_stranger_wrote_is_a_field_or_refused(
    one: field.Field, value: object, data: st.DataObject
) -> None:
    facts = one.to_json()
    facts[data.draw(st.sampled_from(sorted(facts)))] = value
    try:
        found = fields.from_json(facts)
    except ValueError:
        return
    assert fields.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    "numbers",
    [np.array([3, -1, 0]), np.array([], int), slice(1, None, 2), 2, -5, np.arange(5) % 2 == 0],
    ids=str,
)
def test_an_index_means_the_rows_that_numpy_says(numbers: Any) -> None:
    found = find_row_numbers(5, numbers)
    assert np.array_equal(found, np.arange(5)[numbers]) and found.dtype == np.int64
    for beyond in (5, -6, np.array([0, 5])):
        with pytest.raises(IndexError):
            find_row_numbers(5, beyond)


def test_rows_begin_where_the_ones_before_end() -> None:
    lengths = np.array([3, 0, 2], np.int32)
    assert sum_lengths(lengths).tolist() == [0, 3, 3, 5]
    assert sum_lengths(np.zeros(0, int)).tolist() == [0]

"""Numbers: standardized as an input, as they are as a target; nothing that is no finite number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.errors import InputError
from edgekd.fields.number import Number
from edgekd.fields.number import mean_and_std
from edgekd.interface import Tensor


def number(**changes: object) -> Number:
    facts = {"columns": ("size", "age"), "mean": (1.0, -2.0), "std": (2.0, 0.5)}
    return Number(**{**facts, **changes})


@pytest.mark.parametrize("shape", [(500,), (500, 1), (500, 3)])
def test_mean_and_std_are_those_of_numpy_over_what_is_trained_on(shape: tuple[int, ...]) -> None:
    generator = np.random.default_rng(0)
    rows = (generator.normal(size=shape) * 100 + 7).astype(np.float32)
    order = generator.permutation(500)[:321]
    chosen = rows[order].astype(np.float64).reshape(321, -1)
    found = Number.describe(rows, order, unit="m")
    assert found.mean == pytest.approx(chosen.mean(0), rel=1e-12)
    assert found.std == pytest.approx(chosen.std(0), rel=1e-12)
    assert found.unit == "m" and found.columns[0] == "column 1"
    assert mean_and_std(rows, order) == mean_and_std(rows, order[::-1])


def test_numbers_are_standardized() -> None:
    rows = np.random.default_rng(1).normal(3, 5, (200, 2)).astype(np.float32)
    field = Number.describe(rows, np.arange(200), columns=("a", "b"))
    (given,) = field.prepare("x", rows).values()
    assert given.dtype == np.float32
    np.testing.assert_allclose(given.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(given.std(0), 1, atol=1e-6)
    assert field.tensors("x") == (Tensor("x", "float32", ("batch", 2)),)
    assert field.sizes() == {"columns": 2} and field.target_sizes() == {"numbers": 2}


def test_numbers_stay_as_they_are_if_the_source_says_so() -> None:
    rows = np.random.default_rng(1).normal(3, 5, (9, 1)).astype(np.float32)
    field = Number.describe(rows, np.arange(9), mean=(0.0,), std=(1.0,))
    np.testing.assert_array_equal(field.prepare("x", rows)["x"], rows)


def test_one_column_may_lack_its_axis() -> None:
    rows = np.array([1, 2, 6], np.float32)
    field = Number.describe(rows, np.arange(3))
    field.check(rows, "train")
    field.check(rows[:, None], "train")
    flat, column = (field.prepare("x", each)["x"] for each in (rows, rows[:, None]))
    np.testing.assert_array_equal(flat, column)
    assert flat.shape == (3, 1)
    with pytest.raises(ValueError, match="want float32"):
        number().prepare("x", rows)


def test_what_is_trained_on_is_looked_at_before_its_mean() -> None:
    rows = np.array([[1, 2], [3, np.nan]], np.float32)
    with pytest.raises(InputError, match="train split: got nan in row 1, age, want a finite"):
        Number.describe(rows, np.arange(2), columns=("size", "age"))
    with pytest.raises(InputError, match=r"want float32 \[N, 1\]"):
        Number.describe(rows[:1], np.arange(1), columns=("size",))
    with pytest.raises(ValueError, match="got float32"):
        Number.describe(rows[None], np.arange(1))


def test_a_column_that_never_changes_is_only_moved() -> None:
    rows = np.full((4, 1), 7.5, np.float32)
    field = Number.describe(rows, np.arange(4))
    assert field.std == (1.0,) and field.prepare("x", rows)["x"].tolist() == [[0]] * 4


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.zeros((3, 2)), "got float64"),
        (np.zeros((3, 3), np.float32), r"want float32 \[N, 2\]"),
        (np.zeros(3, np.float32), r"want float32 \[N, 2\]"),
        (np.zeros((0, 2), np.float32), "want float32"),
        (np.array([[1, 2], [3, np.nan]], np.float32), "train: got nan in row 1, age"),
        (np.array([[-np.inf, 2]], np.float32), "got -inf in row 0, size"),
    ],
)
def test_other_rows_are_refused(rows: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says):
        number().check(rows, "train")


def test_what_is_not_finite_is_found_however_far_down() -> None:
    rows = np.zeros((70_000, 2), np.float32)
    number().check(rows, "train")
    rows[69_999, 0] = np.nan
    with pytest.raises(InputError, match="row 69999, size"):
        number().check(rows, "train")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"columns": ()}, r"0 column name\(s\), want at least 1"),
        ({"columns": ("a", "a")}, "'a' twice"),
        ({"mean": (1.0,)}, "1 values in mean, want 2"),
        ({"mean": 3.0}, "float values in mean"),
        ({"std": (1.0, 0.0)}, "std 0"),
        ({"std": (1.0, float("nan"))}, "std nan"),
        ({"mean": (1.0, float("inf"))}, "mean inf"),
        ({"mean": (1.0, True)}, "mean True"),
        ({"unit": 3}, "unit"),
        ({"unit": "a\nb"}, "unit"),
        ({"unit": "x" * 41}, "unit"),
    ],
)
def test_what_no_numbers_can_be_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        number(**changes)


def test_samples_are_mixed_by_their_shares() -> None:
    one, other = np.array([[0, 4]], np.float32), np.array([[8, 8]], np.float32)
    found = number(mean=(0.0, 1.0), std=(1.0, 2.0))
    mixed = found.mix("x", one, other, np.array([[0.75]], np.float32))
    assert mixed["x"].tolist() == [[2, 2]]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("[1, 2.5]", [[1, 2.5]]),
        ("[[1, 2], [3, 4]]", [[1, 2], [3, 4]]),
        ('{"age": 2, "size": 1}', [[1, 2]]),
        ('[{"age": 2, "size": 1}, {"size": 3, "age": 4}]', [[1, 2], [3, 4]]),
        ("1, 2.5", [[1, 2.5]]),
        ("1,2\n3,4\n\n", [[1, 2], [3, 4]]),
        ("age,size\r\n2,1\r\n", [[1, 2]]),
        ("\ufeffsize, age\n1, 2", [[1, 2]]),
        ("id;age;size;kind\n7;2;1;setosa\n8;4;3;NA\n", [[1, 2], [3, 4]]),
        ('{"age": 2, "kind": "x", "size": 1}', [[1, 2]]),
    ],
)
def test_what_a_user_writes_is_read(text: str, rows: list[list[float]]) -> None:
    found = number().read(text.encode())
    assert isinstance(found, np.ndarray) and found.dtype == np.float32 and found.tolist() == rows


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("id,age,size,kind\n7,2,1,x", ("id", "kind")),
        ('[{"age": 2, "kind": "x", "size": 1}]', ("kind",)),
        ("1,2\n3,4", ()),
        ("[1, 2]", ()),
        ("", ()),
    ],
)
def test_columns_of_other_names_are_passed_over_and_named(
    text: str, names: tuple[str, ...]
) -> None:
    assert number().list_unread(text.encode()) == names


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "no numbers"),
        (b"[]", "no numbers"),
        (b"[[]]", "got a row of 0"),
        (b"[1, 2", "want JSON"),
        (b"[" * 10_000, "want JSON"),
        (b"\xff\xfe", "want numbers as JSON or CSV"),
        (b"1,2,3", "got a row of 3 numbers, want 2"),
        (b"1,x", "got 'x', want a number"),
        (b"[1, NaN]", "got 'nan', want a finite number"),
        (b"[1, Infinity]", "want a finite number"),
        (b"1,inf", "want a finite number"),
        (b"[1, true]", "want a finite number"),
        (b"[1, 1e300]", "want a finite number"),
        (b"[1, 1" + b"0" * 400 + b"]", "want a finite number"),
        (b'{"size": 1}', "got the columns size, want size, age"),
        (b"size\n1", "got the columns size"),
        (b"size,age\n1,2\n3,x", "line 3: age: got 'x', want a number"),
        (b"size,age\n1", "got a row of 1 numbers under 2 names"),
        (b"[[1, 2], 3]", "got a row of 1"),
    ],
)
def test_what_is_no_row_is_refused(text: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        number().read(text)


@given(st.binary(max_size=40))
def test_whatever_is_read_is_a_row_or_refused(data: bytes) -> None:
    field = number()
    try:
        rows = field.read(data)
    except InputError:
        return
    field.check(rows, "again")

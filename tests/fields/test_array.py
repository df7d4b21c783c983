"""Numbers of any fixed shape: as they are, with how far they are spread and whether they are probabilities."""

from __future__ import annotations

import io

import numpy as np
import pytest

from edgekd import fields
from edgekd.errors import InputError
from edgekd.fields.array import Array
from edgekd.interface import Tensor


def describe(rows: np.ndarray) -> Array:
    return Array.describe(rows, np.arange(len(rows)))


def test_rows_are_taken_as_they_are() -> None:
    rows = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
    field = describe(rows)
    assert field.tensors("x") == (Tensor("x", "float32", ("batch", 2, 3)),)
    assert np.array_equal(field.prepare("x", rows)["x"], rows)
    assert fields.from_json(field.to_json()) == field


def test_whole_numbers_are_those_of_a_vocabulary() -> None:
    field = describe(np.array([[1, 7], [0, 3]], np.int64))
    assert field.tensors("ids") == (Tensor("ids", "int64", ("batch", 2), "index", 8),)


def test_the_spread_is_the_distance_from_the_mean() -> None:
    rows = np.array([[1, 10], [3, 10]], np.float32)  # by hand: (1 + 1 + 0 + 0) / 4
    assert describe(rows).spread == pytest.approx(np.sqrt(0.5))
    assert describe(np.ones((3, 2), np.float32)).spread == 0


def test_the_size_is_that_of_the_numbers_or_of_a_certain_answer() -> None:
    assert describe(np.array([[3], [-4]], np.float32)).size == pytest.approx(12.5**0.5)
    for rows in ([[0.7, 0.3], [0.5, 0.5]], [[0, 1], [1, 0]]):
        assert describe(np.array(rows, np.float32)).size == pytest.approx(0.5**0.5)
    assert describe(np.array([[3], [4]], np.int64)).size == 0


@pytest.mark.parametrize(
    ("rows", "axis"),
    [
        ([[0.2, 0.8], [1, 0]], 1),
        ([[0.2, 0.9], [1, 0]], 0),
        ([[-0.2, 1.2]], 0),
        ([[1.0], [1.0]], 0),
        ([[[0.5, 1], [0.5, 0]]], 1),
        ([[[0.5, 0.5], [0, 1]]], 2),
    ],
)
def test_probabilities_are_known_by_their_sums(rows: list[object], axis: int) -> None:
    assert describe(np.array(rows, np.float32)).class_axis == axis


@pytest.mark.parametrize(
    "rows",
    [
        np.ones((2, 3)),
        np.ones((2, 4), np.float32),
        np.ones((0, 3), np.float32),
        np.array([[1, np.nan, 2]], np.float32),
    ],
)
def test_other_rows_are_refused(rows: np.ndarray) -> None:
    with pytest.raises(InputError, match="here: got"):
        Array(dtype="float32", shape=(3,)).check(rows, "here")


@pytest.mark.parametrize(
    "facts",
    [
        {"dtype": "complex64"},
        {"shape": (0,)},
        {"shape": (2**30,)},
        {"spread": -1.0},
        {"size": -1.0},
        {"below": -1},
    ],
)
def test_hostile_facts_are_refused(facts: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="got"):
        Array(**{"dtype": "float32", "shape": (3,), **facts})  # type: ignore[arg-type]


def test_a_npy_file_is_read_with_or_without_its_batch() -> None:
    field = Array(dtype="float32", shape=(2, 3))
    for shape in ((2, 3), (4, 2, 3)):
        file = io.BytesIO()
        np.save(file, np.ones(shape))
        assert np.asarray(field.read(file.getvalue())).shape == (
            shape if len(shape) > 2 else (1, 2, 3)
        )
    with pytest.raises(InputError, match="want .npy or JSON"):
        field.read(b"no array")


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_first_axis_of_1_may_be_left_out_of_several(count: int) -> None:
    rows, file = np.ones((count, 2), np.float32), io.BytesIO()
    np.save(file, rows)
    read = Array(dtype="float32", shape=(1, 2)).read(file.getvalue())
    np.testing.assert_array_equal(np.asarray(read), rows[:, None])


def test_json_is_read_and_other_files_are_named() -> None:
    field = Array(dtype="float32", shape=(3,))
    assert np.asarray(field.read(b"[0.5, 1, 2]")).tolist() == [[0.5, 1.0, 2.0]]
    assert np.asarray(field.read(b"[[0, 1, 2], [3, 4, 5]]")).shape == (2, 3)
    for broken in (b'{"a": 1}', b"[[1, 2], [3]]", b'["a", "b", "c"]', b"\x93NUMPY"):
        with pytest.raises(InputError, match="want"):
            field.read(broken)

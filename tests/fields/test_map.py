"""A class of every pixel: which numbers and sizes there may be."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.fields.map import Map


def field(**changes: object) -> Map:
    return Map(**{"height": 2, "width": 3, "names": ("sky", "road"), **changes})


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_a_map_is_int64_whatever_it_is_stored_as(dtype: type) -> None:
    rows = np.array([[[0, 1, 255], [1, 1, 0]]], dtype)
    found = Map.describe(rows, np.arange(1), names=("sky", "road"))
    assert found == field()
    found.check(rows, "train")
    (given,) = found.prepare("maps", rows).values()
    assert given.dtype == np.int64 and given.tolist() == rows.tolist()
    assert found.target_sizes() == {"classes": 2, "height": 2, "width": 3}


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (np.zeros((1, 3, 2), np.uint8), r"want uint8 or int64 \[N, 2, 3\]"),
        (np.zeros((1, 2, 3), np.int32), "got int32"),
        (np.zeros((0, 2, 3), np.uint8), "got uint8"),
        (np.zeros((1, 2, 3, 1), np.uint8), "want uint8"),
        (
            np.full((1, 2, 3), 2, np.uint8),
            "train: got class 2 in map 0 at row 0, column 0, want 0 to 1",
        ),
        (np.full((1, 2, 3), -1), "got class -1"),
    ],
)
def test_other_rows_are_refused(rows: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says):
        field().check(rows, "train")


def test_a_wrong_pixel_is_found_however_far_down() -> None:
    rows = np.zeros((700, 2, 3), np.uint8)
    rows[699, 1, 2] = 9
    with pytest.raises(InputError, match="got class 9 in map 699 at row 1, column 2"):
        field().check(rows, "train")


def test_what_counts_for_nothing_may_be_another_number_but_no_class() -> None:
    field(ignored=-1).check(np.full((1, 2, 3), -1), "train")
    for ignored in (0, 1, 2.0, None, True):
        with pytest.raises(ValueError, match="ignored"):
            field(ignored=ignored)
    with pytest.raises(InputError, match="got class 255"):
        field(ignored=-1).check(np.full((1, 2, 3), 255, np.uint8), "train")


@pytest.mark.parametrize(
    "changes", [{"height": 0}, {"width": 2.0}, {"height": 2**15, "width": 2**15}, {"names": ("a",)}]
)
def test_what_no_map_can_be_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="got"):
        field(**changes)


def test_its_image_has_its_size() -> None:
    assert field().image_size() == (2, 3)

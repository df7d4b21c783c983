"""Boxes: inside their image, with a class, any number of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.field import from_rows
from edgekd.fields.boxes import Boxes

FIELD = Boxes(names=("cat", "dog"), height=10, width=20)
GOOD = [0, 1, 2, 20, 10]


def ragged(*rows: list[list[float]]) -> RaggedRows:
    like = np.zeros((0, 5), np.float32)
    return from_rows([np.array(row, np.float32).reshape(-1, 5) for row in rows], like)


def test_samples_are_filled_up_to_the_most_boxes_of_them() -> None:
    rows = ragged([], [GOOD, [1, 0, 0, 0.5, 0.5]], [GOOD])
    FIELD.check(rows, "train")
    (given,) = FIELD.prepare("boxes", rows).values()
    assert given.shape == (3, 2, 5) and given.dtype == np.float32
    assert given[:, :, 0].tolist() == [[-1, -1], [0, 1], [0, -1]]
    assert given[2, 0].tolist() == GOOD
    assert FIELD.prepare("boxes", ragged([], []))["boxes"].shape == (2, 1, 5)


@pytest.mark.parametrize(
    "box",
    [
        [2, 1, 2, 20, 10],
        [-1, 1, 2, 20, 10],
        [0.5, 1, 2, 20, 10],
        [0, 20, 2, 1, 10],
        [0, 1, 10, 20, 2],
        [0, 1, 2, 1, 10],
        [0, -1, 2, 20, 10],
        [0, 1, 2, 21, 10],
        [0, 1, 2, 20, 11],
        [0, 1, float("nan"), 20, 10],
        [float("inf"), 1, 2, 20, 10],
    ],
)
def test_boxes_that_cannot_be_are_refused(box: list[float]) -> None:
    with pytest.raises(InputError, match=r"train: got the box .* in sample 2, want a class 0 to 1"):
        FIELD.check(ragged([GOOD], [], [box, GOOD]), "train")


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((1, 5), np.float32),
        ragged(),
        RaggedRows(np.zeros((1, 4), np.float32), np.array([0, 1])),
        RaggedRows(np.zeros((1, 5)), np.array([0, 1])),
    ],
)
def test_rows_of_another_form_are_refused(rows: Any) -> None:
    with pytest.raises(InputError, match="want"):
        FIELD.check(rows, "train")


def test_its_image_has_its_size() -> None:
    assert FIELD.image_size() == (10, 20)


def test_what_no_boxes_can_be_is_refused() -> None:
    for changes in ({"height": 0}, {"width": "a"}, {"names": ()}):
        with pytest.raises(ValueError, match="got"):
            Boxes(**{"names": ("a",), "height": 1, "width": 1, **changes})

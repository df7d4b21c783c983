from __future__ import annotations

from typing import Any
from typing import NamedTuple

import numpy as np
import pytest

from edgekd.bench import input_rows
from edgekd.runtime import EngineInput

IMAGE = EngineInput("x", "float32", (None, 3, 4, 4))
TOKENS = EngineInput("ids", "int64", (None, 6))


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((5, 3, 4, 5), np.float32),
        np.zeros((5, 3, 4, 4), np.float64),
        np.zeros((0, 3, 4, 4), np.float32),
        np.zeros((5, 48), np.float32),
    ],
)
def test_rows_that_do_not_fit(rows: np.ndarray) -> None:
    with pytest.raises(ValueError, match="^x: got .*, want float32"):
        input_rows.require_fitting_rows(rows, IMAGE)


class Takes(NamedTuple):
    """A session as far as its inputs."""

    inputs: tuple[EngineInput, ...]


def test_inputs_get_a_models_own_names_and_order() -> None:
    x, ids = np.zeros((2, 3, 4, 4), np.float32), np.zeros((2, 6), np.int64)
    one: Any = Takes((IMAGE,))
    assert input_rows.fit_inputs({"images": x}, one)["x"] is x
    two: Any = Takes((IMAGE, TOKENS))
    assert list(input_rows.fit_inputs({"ids": ids, "x": x}, two)) == ["x", "ids"]
    for given, says in (
        ({"x": x}, "inputs: got x, want x, ids"),
        ({"x": x, "mask": ids}, "inputs: got x, mask, want x, ids"),
        ({"x": x, "ids": ids[:, :5]}, "ids: got int64 .2, 5., want int64"),
    ):
        with pytest.raises(ValueError, match=says):
            input_rows.fit_inputs(given, two)


@pytest.mark.parametrize("first", [None, 3])
def test_whole_calls_are_told_by_axes_also_of_a_model_compiled_for_a_batch(
    first: int | None,
) -> None:
    inputs = (
        EngineInput("input", "float32", (first, None)),
        EngineInput("state", "float32", (2, first, 4)),
    )
    rows = {"input": np.zeros((1, 1, 5)), "state": np.zeros((1, 2, 1, 4))}
    session: Any = Takes(inputs)
    assert input_rows.are_whole_calls(session, rows)
    assert not input_rows.are_whole_calls(session, {**rows, "input": np.zeros((1, 5))})

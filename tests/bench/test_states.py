"""A decoder whose states are hidden answers as one that has none."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.bench.states import hide_states
from edgekd.bench.states import make_empty_state
from edgekd.runtime import EngineInput
from edgekd.runtime import Inference


class Recorder:
    """A session that notes what it was given."""

    inputs = (
        EngineInput("text", "int64", (None, None)),
        EngineInput("past_key_values.0.key", "float32", (None, 2, None, 8)),
    )
    output_names = ("present.0.key", "logits")

    def run(self, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.feeds = feeds
        return [np.zeros(1), np.ones(1)]

    def bind(self, feeds: dict[str, np.ndarray]) -> Inference:
        return lambda: self.run(feeds)


def test_a_call_begins_with_empty_states_and_gives_none() -> None:
    inner = Recorder()
    session = hide_states(inner)
    assert [each.name for each in session.inputs] == ["text"]
    assert session.output_names == ("logits",)
    text = np.zeros((3, 5), np.int64)
    for answer in (session.run({"text": text}), session.bind({"text": text})()):
        assert [each.tolist() for each in answer] == [[1.0]]
        assert inner.feeds["text"] is text
        assert inner.feeds["past_key_values.0.key"].shape == (3, 2, 0, 8)


def test_who_gives_states_gets_them() -> None:
    inner = Recorder()
    assert hide_states(inner, ["past_key_values.0.key"]) is inner


def test_a_model_without_states_is_left_alone() -> None:
    class Plain(Recorder):
        inputs = Recorder.inputs[:1]

    inner = Plain()
    assert hide_states(inner) is inner


@pytest.mark.parametrize("shape", [(None, 2, 8), (None, None, None, 8)])
def test_other_states_are_refused(shape: tuple[int | None, ...]) -> None:
    with pytest.raises(ValueError, match=r"want \[batch, heads, length, head size\]"):
        make_empty_state(EngineInput("past_key_values.0.key", "float32", shape), 1)


@pytest.mark.parametrize(
    "dtype, shape, want",
    [
        ("float32", (None, 2, 16, 8), "of which length is free"),
        ("float32", (None, 0, None, 8), "of which length is free"),
        ("float32", (3, 2, None, 8), "want floats or int8 of a batch of 1"),
        ("str", (None, 2, None, 8), "want floats or int8 of a batch of 1"),
    ],
)
def test_states_that_cannot_be_empty_are_refused(
    dtype: str, shape: tuple[int | None, ...], want: str
) -> None:
    with pytest.raises(ValueError, match=want):
        make_empty_state(EngineInput("past_key_values.0.key", dtype, shape), 1)


def test_states_alone_are_no_model() -> None:
    with pytest.raises(ValueError, match="got states alone"):
        hide_states(Recorder()).run({})

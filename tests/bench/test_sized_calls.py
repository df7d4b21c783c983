from __future__ import annotations

import numpy as np

from edgekd.bench import golden
from edgekd.bench import inputs
from edgekd.bench import sized_calls
from edgekd.bench.call import InputPlan
from edgekd.interface import BATCH
from edgekd.interface import Axis
from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.runtime import EngineInput

AXES = (Axis(BATCH), Axis("text_length", 1, 5, 9), Axis("frames", 2, 4, 8))
ENDS = Interface(
    (
        Tensor("text", "int64", (BATCH, "text_length"), "index", below=11),
        Tensor("text_mask", "int64", (BATCH, "text_length"), "mask"),
        Tensor("sound", "float32", (BATCH, "frames", 3)),
    ),
    (Tensor("logits", "float32", (BATCH, 2), "logits"),),
    AXES,
)
USUAL = {"text_length": 5, "frames": 4}


def test_every_combination_but_the_usual_is_a_call_of_real_shapes() -> None:
    calls = sized_calls.plan_sized_calls({"text_length": (9, 5, 9), "frames": (4, 2)}, ENDS, USUAL)
    assert [call.label for call in calls] == [
        "text_length=9,frames=4",
        "text_length=9,frames=2",
        "text_length=5,frames=2",
    ]
    assert calls[1].sizes == {"text_length": 9, "frames": 2} and calls[1].batch == 1
    wanted = [EngineInput(end.name, end.dtype, (None,) * len(end.shape)) for end in ENDS.inputs]
    feed, *_ = inputs.draw_feeds(wanted, batch=1, seed=0, plans=calls[1].inputs)
    assert {name: array.shape for name, array in feed.items()} == {
        "text": (1, 9),
        "text_mask": (1, 9),
        "sound": (1, 2, 3),
    }
    assert feed["text"].min() >= 0 and feed["text"].max() < 11 and len(np.unique(feed["text"])) > 2
    assert (feed["text_mask"] == 1).all() and feed["sound"].std() > 0


def test_axes_that_are_not_asked_for_stay_usual_and_no_size_is_no_call() -> None:
    (call,) = sized_calls.plan_sized_calls({"frames": (8,)}, ENDS, USUAL)
    assert (call.label, call.sizes) == ("frames=8", {"text_length": 5, "frames": 8})
    assert sized_calls.plan_sized_calls({}, ENDS, USUAL) == []
    assert sized_calls.plan_sized_calls({"text_length": (5,)}, ENDS, USUAL) == []


def test_the_usual_sizes_are_those_of_the_usual_golden_inputs() -> None:
    fed = {
        "text": np.zeros((3, 7), np.int64),
        "text_mask": np.ones((3, 7), np.int64),
        "sound": np.zeros((3, 4, 3), np.float32),
    }
    groups = {golden.USUAL: golden.GoldenGroup(fed, {"logits": np.zeros((3, 2), np.float32)})}
    assert sized_calls.usual_sizes(ENDS, groups) == {"text_length": 7, "frames": 4}


def test_sizes_no_sample_can_have_are_named() -> None:
    assert sized_calls.find_fault({"text_length": (1, 9), "frames": (2,)}, AXES) is None
    found = sized_calls.find_fault({"frames": (2, 1)}, AXES)
    assert found == (("frames", 1), "got 1, want 2 to 8, the longest sample")
    assert sized_calls.find_fault({BATCH: (2,)}, AXES) is not None
    assert sized_calls.find_fault({"frames": (1,)}, AXES[:1]) is not None


def decoder() -> Interface:
    shape = ("batch", "text_length")
    ends = (
        Tensor("text", "int64", shape, "index", below=9),
        Tensor("text_mask", "int64", shape, "mask"),
    )
    logits = Tensor("logits", "float32", (*shape, 9), "logits", target="next_tokens")
    return Interface(ends, (logits,), (Axis("batch"), Axis("text_length", 1, 8, 32)))


def test_tokens_of_a_decoder_are_calls_of_their_own() -> None:
    asked = {"prompt_length": (4, 32), "context_length": (31,), "text_length": (16,)}
    plain, *tokens = sized_calls.plan_sized_calls(asked, decoder(), {"text_length": 8})
    assert plain.sizes == {"text_length": 16} and not plain.decoding
    assert [call.label for call in tokens] == [
        "prompt_length=4",
        "prompt_length=32",
        "context_length=31",
    ]
    assert [call.inputs["text"] for call in tokens] == [
        InputPlan((None, 4), 9),
        InputPlan((None, 32), 9),
        InputPlan((None, 32), 9),
    ]
    assert tokens[2].decoding == {"kind": "next token", "length": 31, "longest": 32}


def test_lengths_of_a_decoder_have_limits_and_others_have_none() -> None:
    axes = decoder().axes
    known = sized_calls.list_decoding_axes(axes, ("next_tokens", "text_bytes"))
    assert [(axis.name, axis.most) for axis in known] == [
        ("prompt_length", 32),
        ("context_length", 31),
    ]
    assert sized_calls.find_fault({"context_length": (32,)}, (*axes, *known)) == (
        ("context_length", 0),
        "got 32, want 1 to 31, the longest sample",
    )
    assert sized_calls.list_decoding_axes(axes, ("labels",)) == ()

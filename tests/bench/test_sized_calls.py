from __future__ import annotations

import numpy as np

from edgekd.bench import golden
from edgekd.bench import inputs
from edgekd.bench import sized_calls
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

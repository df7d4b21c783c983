from __future__ import annotations

from typing import Any

import pytest

from edgekd.bench import input_shapes
from edgekd.bench.call import CallPlan
from edgekd.errors import InputError
from edgekd.value_info import Value

IMAGE = Value("x", 1, ("N", 3, "height", "width"))


def plan(*inputs: Value, outputs: tuple[Value, ...] = (), **asked: Any) -> CallPlan:
    sizes = {name: (size,) if isinstance(size, int) else size for name, size in asked.items()}
    more = {name: sizes.pop(name) for name in ("given", "metadata") if name in sizes}
    batch = sizes.pop("batch", (None,))[0]
    return input_shapes.plan_shapes("net", inputs, outputs, sizes=sizes, batch=batch, **more)


def shapes(made: CallPlan) -> dict[str, tuple[int | None, ...]]:
    return {name: one.shape for name, one in made.inputs.items()}


def question(*inputs: Value, **asked: Any) -> InputError:
    with pytest.raises(InputError) as caught:
        plan(*inputs, **asked)
    return caught.value


def test_a_free_first_axis_is_the_batch_and_the_others_are_asked_for() -> None:
    made = plan(IMAGE, height=64, width=96, batch=4)
    assert shapes(made) == {"x": (None, 3, 64, 96)}
    assert (made.batch, made.label, made.note) == (4, "height=64,width=96", "")
    error = question(IMAGE, height=64)
    assert (
        str(error)
        == "net: got free sizes in x [N, 3, height, width], want a number for each: width"
    )
    assert error.hint == "such as --size width=224"


def test_axes_without_a_name_are_asked_for_by_their_number() -> None:
    for name in (None, "?"):
        paddle = Value("x", 1, (None, 3, name, name))
        assert question(paddle).hint == "such as --size x.2=224 --size x.3=224"
        made = plan(paddle, **{"x.2": 48, "x.3": 192})
        assert shapes(made) == {"x": (None, 3, 48, 192)}


def test_the_batch_is_wherever_its_name_stands() -> None:
    sound, state = Value("x", 1, ("batch", "samples")), Value("state", 1, (2, "batch", 128))
    made = plan(sound, state, samples=512)
    assert shapes(made) == {"x": (None, 512), "state": (2, None, 128)}
    spox = Value("x", 1, (None, None)), Value("state", 1, (2, None, 128))
    assert question(*spox).hint == "such as --size x.1=128 --size state.1=1"


def test_a_first_axis_that_counts_time_is_no_batch() -> None:
    frames = Value("x", 1, ("sequence_length", 576))
    assert question(frames).hint == "such as --size sequence_length=128"
    made = plan(frames, sequence_length=3)
    assert shapes(made) == {"x": (3, 576)} and made.batch == 1


def test_a_sum_of_axes_is_reckoned() -> None:
    ids, mask = Value("ids", 7, ("b", "now")), Value("mask", 7, ("b", "past + now"))
    past = Value("past", 1, ("b", 2, "past", 4))
    made = plan(mask, ids, past, past=0, now=5)
    assert shapes(made) == {"mask": (None, 5), "ids": (None, 5), "past": (None, 2, 0, 4)}


def test_a_whole_shape_stands_for_an_input_without_a_rank() -> None:
    unknown = Value("x", 1, None)
    assert question(unknown).hint == "such as --size x=1x3x224x224"
    assert shapes(plan(unknown, x=(2, 5))) == {"x": (2, 5)}
    assert shapes(plan(IMAGE, x=(2, 3, 8, 9))) == {"x": (2, 3, 8, 9)}


def test_a_file_may_state_its_sizes() -> None:
    yolo = {"imgsz": "[640, 480]"}
    assert shapes(plan(IMAGE, metadata=yolo)) == {"x": (None, 3, 640, 480)}
    assert shapes(plan(IMAGE, metadata=yolo, width=32)) == {"x": (None, 3, 640, 32)}
    own = {"height": "20", "x.3": "30"}
    assert shapes(plan(IMAGE, metadata=own)) == {"x": (None, 3, 20, 30)}


def test_what_is_fed_tells_sizes() -> None:
    mask = Value("mask", 1, ("N", "height"))
    made = plan(IMAGE, mask, given={"x": (10, 3, 6, 7)})
    assert shapes(made) == {"x": (None, 3, 6, 7), "mask": (None, 6)}
    assert shapes(plan(IMAGE, given={"x": (10, 1, 3, 6, 7)})) == {"x": (1, 3, 6, 7)}
    with pytest.raises(InputError, match="got 6 for axis 'height' of 'x', want 5 as elsewhere"):
        plan(IMAGE, given={"x": (10, 3, 6, 7)}, height=5)


@pytest.mark.parametrize("sizes", [(2, 10, 20), (3, 8, 8)])
def test_a_fixed_first_axis_is_nobodys_batch(sizes: tuple[int, ...]) -> None:
    fixed = Value("x", 1, sizes)
    made = plan(fixed)
    assert shapes(made) == {"x": sizes} and made.batch == 1
    assert made.note == f"its sizes are fixed: x {list(sizes)}; a call counts as one sample"
    with pytest.raises(InputError, match=f"got batch {sizes[0]}, want none: its sizes are fixed"):
        plan(fixed, batch=sizes[0], outputs=(Value("y", 1, (1, 5)),))


def test_a_batch_that_inputs_and_outputs_are_fixed_at_may_be_named() -> None:
    fixed, logits = Value("x", 1, (8, 3, 4, 4)), Value("y", 1, (8, 10))
    made = plan(fixed, outputs=(logits,), batch=8)
    assert (made.batch, made.note) == (8, "")
    with pytest.raises(InputError, match="got batch 4"):
        plan(fixed, outputs=(logits,), batch=4)


def test_a_model_of_batch_1_needs_no_word() -> None:
    made = plan(Value("x", 1, (1, 3, 4, 4)), Value("rate", 7, ()))
    assert made.note == "" and shapes(made)["rate"] == ()


def test_what_is_no_tensor_is_named() -> None:
    with pytest.raises(InputError, match="input 'boxes': got a sequence, an optional or a map"):
        plan(IMAGE, Value("boxes", 0, None), height=1, width=1)


def test_a_whole_shape_may_not_contradict_a_size_that_is_fixed() -> None:
    with pytest.raises(InputError, match="got 1 for axis 1 of 'x', want 3: it is fixed"):
        plan(IMAGE, x=(2, 1, 8, 8))
    assert shapes(plan(IMAGE, x=(2, 3, 8, 8))) == {"x": (2, 3, 8, 8)}


def test_a_model_of_scalars_has_no_batch() -> None:
    with pytest.raises(InputError, match="got batch 4, want none"):
        plan(Value("rate", 7, ()), batch=4)


def test_states_alone_may_be_empty() -> None:
    past = Value("past_key_values.0.key", 1, ("batch", 2, "past_length", 4))
    text = Value("text", 7, ("batch", "text_length"))
    sizes = {"past_length": (0,), "text_length": (3,)}
    made = input_shapes.plan_shapes("m.onnx", [text, past], [], sizes=sizes)
    assert made.inputs[past.name].shape == (None, 2, 0, 4)
    with pytest.raises(InputError, match="m.onnx: got 0 for axis 1 of 'text', want at least 1"):
        input_shapes.plan_shapes("m.onnx", [text], [], sizes={"text_length": (0,)})

"""What a model takes and gives: named tensors whose axes are numbers or names of free sizes."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any
from typing import Literal
from typing import NamedTuple
from typing import get_args

BATCH = "batch"
"""The first axis of every tensor; free."""
MOST = 2**31 - 1
MOST_VALUES = 2**28
"""Of one sample of one tensor, at its usual size."""
MOST_ENDS, MOST_AXES = 256, 8
DTYPES = ("float32", "float16", "int64", "int32", "uint8", "bool")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:/]{0,99}")
Kind = Literal["values", "logits", "index", "mask", "state"]
"""Numbers; scores of classes; numbers of a vocabulary; 1 for what counts; what the next call takes back."""


PAST, PRESENT = "past_key_values.", "present."
"""How the names of states begin, those that a call takes and those that it gives: ``past_key_values.0.key``, as
optimum, ONNX Runtime GenAI and OpenVINO have them."""
NEXT_TOKENS = "next_tokens"
"""The target of a decoder."""
LOGITS_TO_KEEP = "logits_to_keep"
"""An input of a decoder's file that need not be given: of how many last tokens it gives logits, 0 of all. A file that has
it writes new keys and values into the buffer that holds the earlier ones, where both are given the same."""
PAST_LENGTH, WHOLE_LENGTH = "past_length", "whole_length"
"""Axes of states: how many tokens there were before a call, and how many there are behind it."""


class Axis(NamedTuple):
    """A free size."""

    name: str
    least: int = 1
    usual: int = 1
    """What is exported, timed and shown with."""
    most: int = MOST


class Tensor(NamedTuple):
    """One input or output."""

    name: str
    dtype: str
    """numpy's name of the element type."""
    shape: tuple[int | str, ...]
    """A number, or the name of an `Axis`; the first is `BATCH`."""
    kind: Kind = "values"
    below: int = 0
    """Of an index: the first number that is none, as the size of a vocabulary."""
    class_axis: int = -1
    """Of logits: the axis of the classes, of which one is right; -1 where each is a probability by itself."""
    target: str = ""
    """Of an output: the target it is compared with."""


class Interface(NamedTuple):
    """All ends of one model."""

    inputs: tuple[Tensor, ...]
    """In the order in which the model takes them."""
    outputs: tuple[Tensor, ...]
    """In the order in which it gives them."""
    axes: tuple[Axis, ...] = (Axis(BATCH),)
    """The free ones."""
    sizes: Mapping[str, int] = MappingProxyType({})
    """What a builder may ask for by name: ``classes``, ``height``, ``vocabulary``."""

    def shape(self, tensor: Tensor, count: int, **sizes: int) -> tuple[int, ...]:
        """The whole shape for `count` samples; other free axes at `sizes`, or else as usual."""
        usual = {axis.name: axis.usual for axis in self.axes} | sizes | {BATCH: count}
        return tuple(usual[axis] if isinstance(axis, str) else axis for axis in tensor.shape)

    def free_axes(self, tensor: Tensor) -> dict[int, str]:
        """Position to name of the axes that are free."""
        return {at: axis for at, axis in enumerate(tensor.shape) if isinstance(axis, str)}


def to_json(interface: Interface) -> dict[str, Any]:
    """The interface in JSON's types; `from_json` gives it back."""
    return {
        "inputs": [_tensor_to_json(tensor) for tensor in interface.inputs],
        "outputs": [_tensor_to_json(tensor) for tensor in interface.outputs],
        "axes": [axis._asdict() for axis in interface.axes],
        "sizes": dict(interface.sizes),
    }


def from_json(value: Mapping[str, Any]) -> Interface:
    """The interface that `to_json` wrote, in which a stranger may have written, too.

    Raises:
        ValueError: names what is wrong in it.
    """
    try:
        interface = Interface(
            _tensors_from_json(value["inputs"]),
            _tensors_from_json(value["outputs"]),
            tuple(Axis(**axis) for axis in value["axes"]),
            dict(value["sizes"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"interface: {type(error).__name__}: {error}") from error
    _require_sound(interface)
    return interface


def _require_sound(interface: Interface) -> None:
    ends = (*interface.inputs, *interface.outputs)
    _require(len(interface.inputs) > 0 and len(interface.outputs) > 0, "no inputs or outputs")
    _require(len(ends) <= MOST_ENDS, f"{len(ends)} ends, want at most {MOST_ENDS}")
    names = [end.name for end in ends]
    axes = [axis.name for axis in interface.axes]
    for found in (names, axes):
        for name in found:
            _require(isinstance(name, str) and bool(NAME.fullmatch(name)), f"name {name!r}")
        _require(len(set(found)) == len(found), f"a name twice: {', '.join(found)}")
    _require(BATCH in axes, f"no axis {BATCH!r}")
    for axis in interface.axes:
        sizes = (1, axis.least, axis.usual, axis.most, MOST)
        _require(all(type(size) is int for size in sizes), f"axis {axis.name}: no numbers")
        _require(list(sizes) == sorted(sizes), f"axis {axis.name}: sizes out of order")
    for name, size in interface.sizes.items():
        _require(isinstance(name, str) and bool(NAME.fullmatch(name)), f"size {name!r}")
        _require(type(size) is int and 0 < size <= MOST, f"{name}: got {size!r}")
    for end in ends:
        _require_sound_end(interface, end, axes)


def _require_sound_end(interface: Interface, end: Tensor, axes: list[str]) -> None:
    where = f"{end.name}: "
    _require(end.dtype in DTYPES, f"{where}type {end.dtype!r}")
    _require(end.kind in get_args(Kind), f"{where}kind {end.kind!r}")
    _require(1 <= len(end.shape) <= MOST_AXES, f"{where}{len(end.shape)} axes")
    _require(end.shape[0] == BATCH, f"{where}its first axis is not {BATCH!r}")
    for axis in end.shape:
        known = axis in axes if isinstance(axis, str) else type(axis) is int and 0 < axis <= MOST
        _require(known, f"{where}axis {axis!r}")
    values = math.prod(interface.shape(end, 1))
    _require(values <= MOST_VALUES, f"{where}{values} values a sample")
    _require(type(end.below) is int and 0 <= end.below <= MOST, f"{where}below {end.below!r}")
    inside = type(end.class_axis) is int and -1 <= end.class_axis < len(end.shape)
    _require(inside, f"{where}class_axis {end.class_axis!r}")
    target = isinstance(end.target, str) and (not end.target or bool(NAME.fullmatch(end.target)))
    _require(target, f"{where}target {end.target!r}")


def _require(holds: bool, wrong: str) -> None:
    if not holds:
        raise ValueError(f"interface: got {wrong}")


def image_classifier(*, classes: int, channels: int, height: int, width: int) -> Interface:
    """``images`` [batch, channels, height, width] to ``logits`` [batch, classes], both float32."""
    sizes = {"channels": channels, "height": height, "width": width, "classes": classes}
    return Interface(
        (Tensor("images", "float32", (BATCH, channels, height, width)),),
        (Tensor("logits", "float32", (BATCH, classes), "logits", class_axis=1, target="labels"),),
        sizes=sizes,
    )


def is_decoder(interface: Interface) -> bool:
    """Return whether a model tells the token behind each, and nothing else."""
    return [end.target for end in interface.outputs] == [NEXT_TOKENS]


def add_states(interface: Interface, layers: int, heads: int, head_size: int) -> Interface:
    """The interface of a decoder whose keys and values [batch, heads, length, head_size] are states.

    Its masks cover what was before a call, too. Where no state is given, nothing was before.
    """
    inputs = tuple(
        end._replace(shape=(*end.shape[:-1], WHOLE_LENGTH)) if end.kind == "mask" else end
        for end in interface.inputs
    )
    names = [f"{layer}.{part}" for layer in range(layers) for part in ("key", "value")]
    past, present = (
        tuple(
            Tensor(f"{prefix}{name}", "float32", (BATCH, heads, length, head_size), "state")
            for name in names
        )
        for prefix, length in ((PAST, PAST_LENGTH), (PRESENT, WHOLE_LENGTH))
    )
    # an exporter's example: whole = past + text, each at least 2
    text = max(max(2, axis.usual) for axis in interface.axes if axis.name != BATCH)
    axes = (*interface.axes, Axis(PAST_LENGTH, 1, 2), Axis(WHOLE_LENGTH, 1, 2 + text))
    return interface._replace(
        inputs=(*inputs, *past), outputs=(*interface.outputs, *present), axes=axes
    )


def _tensor_to_json(tensor: Tensor) -> dict[str, Any]:
    return {**tensor._asdict(), "shape": list(tensor.shape)}


def _tensors_from_json(values: Sequence[Mapping[str, Any]]) -> tuple[Tensor, ...]:
    return tuple(Tensor(**{**value, "shape": tuple(value["shape"])}) for value in values)

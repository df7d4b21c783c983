"""A user's file under the names of the data's inputs: labelled data name them, and the file may call them otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import onnx
from onnx import helper

from edgekd.errors import InputError
from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.learn.onnx_import.plain_names import list_names
from edgekd.learn.onnx_import.plain_names import rename_values


class MatchedFile(NamedTuple):
    """A file whose inputs are those of an interface, by name and in its order."""

    data: bytes
    renamed: dict[str, str]
    """Names of the user's own inputs and outputs to those they have now."""


def match_ends(data: bytes, interface: Interface, where: str) -> MatchedFile:
    """Give a file the interface's names and order of inputs: equal names belong together, the others in order.

    Several outputs are matched like that, too, if there are as many; the only one is known whatever it is called.
    What has another name now has the old one as its doc string. Where all fit, the bytes stay as they are.

    Args:
        data: a file that was admitted, with plain names.
        interface: what the data's inputs and the task make of it.
        where: how to call the file in a message.

    Raises:
        InputError: if it takes another number of inputs, or several that do not fit in order.
    """
    try:
        proto = onnx.load_from_string(data)
    except Exception:  # protobuf's own; who runs the file says what is wrong
        return MatchedFile(data, {})
    graph = proto.graph
    weights = {each.name for each in graph.initializer}
    inputs = [end for end in graph.input if end.name not in weights]
    if len(inputs) != len(interface.inputs):
        raise InputError(
            f"{where}: got inputs {_join_names(inputs)}, want as many as the data have: {_join_names(interface.inputs)}"
        )
    found = _pair_ends(inputs, interface.inputs)
    if len(inputs) > 1:
        for end, wanted in zip(found, interface.inputs, strict=True):
            if end.name != wanted.name:
                _require_fit(end, wanted, where)
    outputs, wanted_outputs = list(graph.output), interface.outputs
    if 1 < len(outputs) == len(wanted_outputs):
        outputs = _pair_ends(outputs, wanted_outputs)
    else:
        wanted_outputs = ()
    pairs = [
        *zip(found, interface.inputs, strict=True),
        *zip(outputs, wanted_outputs, strict=False),
    ]
    renamed = {end.name: wanted.name for end, wanted in pairs if end.name != wanted.name}
    if not renamed and found == inputs and outputs == list(graph.output):
        return MatchedFile(data, {})
    for end in (*found, *outputs):
        if end.name in renamed:
            end.doc_string = end.doc_string or end.name
    others = [end for end in graph.input if end.name in weights]
    _replace(graph.input, [*found, *others])
    _replace(graph.output, outputs)
    rename_values(graph, {**_make_room(graph, renamed), **renamed})
    return MatchedFile(bytes(proto.SerializeToString()), renamed)


def _pair_ends(ends: Sequence[Any], wanted: Sequence[Tensor]) -> list[Any]:
    """The ends in the order of `wanted`."""
    names = {tensor.name for tensor in wanted}
    by_name = {end.name: end for end in ends if end.name in names}
    others = iter([end for end in ends if end.name not in names])
    return [by_name[each.name] if each.name in by_name else next(others) for each in wanted]


def _require_fit(end: onnx.ValueInfoProto, wanted: Tensor, where: str) -> None:
    """
    Raises:
        InputError: if an input cannot be that of the data: of another type, number of axes or size.
    """
    tensor = end.type.tensor_type
    sizes = [axis.dim_value or "?" for axis in tensor.shape.dim]
    dtype = str(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    fits = len(sizes) == len(wanted.shape) and all(
        isinstance(one, str) or isinstance(other, str) or one == other
        for one, other in zip(sizes, wanted.shape, strict=True)
    )
    if not fits or dtype != wanted.dtype:
        shape = ", ".join(map(str, sizes))
        want = ", ".join(map(str, wanted.shape))
        raise InputError(
            f"{where}: {end.name}: got {dtype} [{shape}], want {wanted.dtype} [{want}], the data's {wanted.name}",
            hint="inputs are matched by name, the others in order",
        )


def _make_room(graph: onnx.GraphProto, renamed: dict[str, str]) -> dict[str, str]:
    """Other names for what inside the graph is called as an end is to be called."""
    taken = set(list_names(graph))
    found: dict[str, str] = {}
    for name in renamed.values():
        if name in taken and name not in renamed:
            numbered = (f"{name}_{number}" for number in range(2, len(taken) + 3))
            found[name] = next(free for free in numbered if free not in taken)
            taken.add(found[name])
    return found


def _replace(listed: Any, ends: Sequence[onnx.ValueInfoProto]) -> None:
    copies = [onnx.ValueInfoProto.FromString(end.SerializeToString()) for end in ends]
    del listed[:]
    listed.extend(copies)


def _join_names(ends: Sequence[Any]) -> str:
    return ", ".join(end.name for end in ends)

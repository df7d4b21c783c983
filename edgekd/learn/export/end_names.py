"""Inputs and outputs under names that the exporter gives to something inside as well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence

import onnx

from edgekd.interface import Interface

INNER = "_inner"


def find_collisions(graph: onnx.GraphProto, ends: Sequence[str]) -> list[str]:
    """Find the names of inputs and outputs that something inside bears, too."""
    made = Counter(name for node in graph.node for name in node.output)
    made.update(end.name for end in graph.input)
    made.update(weight.name for weight in graph.initializer)
    return [name for name in ends if made[name] > 1]


def make_placeholders(ends: Sequence[str]) -> dict[str, str]:
    """Names that nothing inside has, to the names that are wanted."""
    return {f"edgekd_end_{number}": name for number, name in enumerate(ends)}


def rename_ends(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Give ends their names, in place; what has one of them inside gets another.

    Args:
        graph: exported with placeholders.
        names: placeholder to name.
    """
    changed = {name: f"{name}{INNER}" for name in names.values()} | dict(names)
    for node in graph.node:
        for listed in (node.input, node.output):
            listed[:] = [changed.get(name, name) for name in listed]
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = changed.get(value.name, value.name)


def name_sums(graph: onnx.GraphProto, interface: Interface) -> None:
    """Give axes that are sums of others, as ``past_length + text_length``, the names that the interface has, in place."""
    wanted = {end.name: end for end in (*interface.inputs, *interface.outputs)}
    for value in (*graph.input, *graph.output):
        sizes = value.type.tensor_type.shape.dim
        for at, name in (
            interface.free_axes(wanted[value.name]).items() if value.name in wanted else ()
        ):
            if at < len(sizes) and "+" in sizes[at].dim_param:
                sizes[at].dim_param = name

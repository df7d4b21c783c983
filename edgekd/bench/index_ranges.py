"""From which range an input of whole numbers is drawn: an index of a table stays inside the table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from edgekd.graph import Graph
from edgekd.graph import Node

KEEPS_VALUES = {
    "Cast",
    "Identity",
    "Unsqueeze",
    "Squeeze",
    "Reshape",
    "Flatten",
    "Transpose",
    "Slice",
    "Expand",
}
"""Operators whose output holds no other numbers than their first input."""
KEEPS_SHAPE = {"Cast", "Identity", "DequantizeLinear"}
"""Operators a table may pass on its way to those that look into it."""
LOOKUPS = {"Gather": (1, 0), "GatherElements": (1, 0), "ScatterElements": (1, 0)}
"""Operator to the places of its indices and of its table; the table's axis is an attribute."""
EMBEDDINGS = {"EmbedLayerNormalization": {0: 2, 1: 4}}
"""Operator to the places of its indices, each with that of its table; the first axis is looked up."""


def find_limits(graph: Graph) -> dict[str, int]:
    """By input the size of the smallest table that it is an index of; others are left out."""
    readers: defaultdict[str, list[Node]] = defaultdict(list)
    for node in graph.nodes:
        for name in dict.fromkeys(node.inputs):
            readers[name].append(node)
    makers = {name: node for node in graph.nodes for name in node.outputs}
    shapes = {**_stated(graph), **graph.shapes}
    found = {}
    for value in graph.inputs:
        sizes = _tables(value.name, readers, makers, shapes)
        if sizes:
            found[value.name] = min(sizes)
    return found


def _stated(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Shapes of inputs without a free axis; a table may be one."""
    return {
        value.name: tuple(size for size in value.sizes if isinstance(size, int))
        for value in graph.values
        if value.sizes and all(isinstance(size, int) for size in value.sizes)
    }


def _tables(
    name: str,
    readers: Mapping[str, list[Node]],
    makers: Mapping[str, Node],
    shapes: Mapping[str, tuple[int, ...]],
) -> list[int]:
    """Sizes of all tables that the numbers of `name` look into."""
    ahead, passed = [name], {name}
    sizes = []
    while ahead:
        at = ahead.pop()
        for node in readers.get(at, ()):
            sizes += [
                size for place, size in _lookups(node, makers, shapes) if at == place and size
            ]
            if node.op in KEEPS_VALUES and node.inputs[0] == at:
                ahead += [output for output in node.outputs if output not in passed]
                passed.update(node.outputs)
    return sizes


def _lookups(
    node: Node, makers: Mapping[str, Node], shapes: Mapping[str, tuple[int, ...]]
) -> list[tuple[str, int]]:
    """The names of a node's indices, each with the size of the axis it looks along; 0 if unknown."""
    places = EMBEDDINGS.get(node.op) or dict([LOOKUPS[node.op]] if node.op in LOOKUPS else [])
    axis = node.axis if node.op in LOOKUPS else 0
    found = []
    for index, table in places.items():
        if max(index, table) < len(node.inputs):
            shape = _shape(node.inputs[table], makers, shapes)
            size = shape[axis] if shape and -len(shape) <= axis < len(shape) else 0
            found.append((node.inputs[index], size))
    return found


def _shape(
    name: str, makers: Mapping[str, Node], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[int, ...]:
    """The shape of a table, as far as it is stored in the file; empty if it is not."""
    passed = set[str]()
    while name not in shapes and name not in passed:
        passed.add(name)
        maker = makers.get(name)
        if maker is None or maker.op not in KEEPS_SHAPE or not maker.inputs:
            return ()
        name = maker.inputs[0]
    return shapes.get(name, ())

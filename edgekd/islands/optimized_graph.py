"""What ONNX Runtime left in float of a Q/DQ file: its optimized graph held against the file.

It runs ``DequantizeLinear -> operator -> QuantizeLinear`` as one int8 kernel where the pattern is
whole, and each operator of a broken pattern in float. A float node is an island if it lies between
int8 ones, or if it is a product whose weights are quantized. Which operators have an int8 kernel was
tried on ONNX Runtime 1.31.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from edgekd import graph
from edgekd.graph import Graph
from edgekd.graph import Node
from edgekd.islands import BYTES
from edgekd.islands import FLOATS
from edgekd.islands import Island
from edgekd.islands import causes
from edgekd.islands import reachable_nodes
from edgekd.islands.causes import GraphIndex

CONVERSIONS = {"QuantizeLinear", "DequantizeLinear"}
MOVES = causes.PASSING | {"Cast", "ReorderInput", "ReorderOutput", "Slice", "Split", "Gather"}
"""Operators that compute nothing."""
STORED_ROWS = {"Gather", "Cast"}
"""Operators that take rows of a table of codes, and make numbers of them."""
ADDED = re.compile(r"(_token_\d+|/MatMulAddFusion|/duplicated)+$")
"""What ONNX Runtime appends to the name of a node that it replaces."""


def find_islands(given: Graph, optimized: Graph) -> list[Island]:
    """The float islands of an optimized graph, in the order of the file.

    Args:
        given: the Q/DQ file; without a QuantizeLinear there are no islands.
        optimized: what ONNX Runtime made of it.
    """
    if not any(node.op == "QuantizeLinear" for node in given.nodes):
        return []
    source, made = causes.index_graph(given), causes.index_graph(optimized)
    told: dict[str, Island] = {}
    for node, between in _floats(made):
        origin = _origin(node, source, made)
        if between or causes.has_quantized_weights(origin, source):
            island = {"node": origin.name or node.name or node.op, "op": origin.op}
            told.setdefault(
                island["node"], {**island, "cause": causes.explain_float(origin, source)}
            )
    place = {name: number for number, name in enumerate(source.names)}
    return sorted(told.values(), key=lambda island: place.get(island["node"], len(place)))


class _Edges(NamedTuple):
    down: dict[str, list[str]]
    up: dict[str, list[str]]


def _floats(made: GraphIndex) -> Iterator[tuple[Node, bool]]:
    """Nodes that compute in float, each with whether it lies between int8 ones."""
    elements = graph.element_types(made.graph)
    edges = _edges(made)
    int8 = [node for node in made.graph.nodes if _is_int8(node, elements, made)]
    behind = reachable_nodes((name for node in int8 for name in node.outputs), edges.down)
    before = reachable_nodes((name for node in int8 for name in _varying(node, made)), edges.up)
    for node in made.graph.nodes:
        element = graph.ELEMENTS.get(graph.first_type(node, elements))
        if node.op in MOVES | CONVERSIONS or element not in FLOATS or not _varying(node, made):
            continue
        between = bool(set(node.inputs) & behind) and bool(set(node.outputs) & before)
        yield node, between


def _is_int8(node: Node, elements: dict[str, int], made: GraphIndex) -> bool:
    """Return whether it takes or gives 8-bit values that vary; rows of a table that are only stored so are none."""
    if node.op in STORED_ROWS:
        return False
    kinds = {graph.ELEMENTS.get(elements.get(name, 0)) for name in (*node.inputs, *node.outputs)}
    first = graph.ELEMENTS.get(graph.first_type(node, elements))
    if node.op == "QuantizeLinear":
        return bool(_varying(node, made) and kinds & set(BYTES))
    return bool(_varying(node, made)) and first in BYTES


def _varying(node: Node, made: GraphIndex) -> list[str]:
    return [name for name in node.inputs if name and not causes.is_constant(name, made)]


def _edges(made: GraphIndex) -> _Edges:
    edges = _Edges({}, {})
    for node in made.graph.nodes:
        for name in _varying(node, made):
            edges.down.setdefault(name, []).extend(node.outputs)
            for output in node.outputs:
                edges.up.setdefault(output, []).append(name)
    return edges


def _origin(node: Node, source: GraphIndex, made: GraphIndex) -> Node:
    """The node of the file that an optimized one stands for, itself if there is none.

    By its name; else by what it gives; else by what the next node gives (an operator that was
    written out as several keeps the name of its last value alone).
    """
    named = source.names.get(ADDED.sub("", node.name))
    here, seen = [node], 0
    while named is None and here and seen < len(made.graph.nodes):
        at, seen = here.pop(0), seen + 1
        named = next((source.makers[name] for name in at.outputs if name in source.makers), None)
        here += [reader for name in at.outputs for reader in made.readers.get(name, [])]
    if named is None or named.op in CONVERSIONS:
        return node
    return _product(node, named, source)


def _product(node: Node, named: Node, source: GraphIndex) -> Node:
    """The product that a fused one begins with: its last value is that of a bias or a Relu."""
    at = named
    while node.op.removeprefix("Fused") in causes.PRODUCTS and at.op not in causes.PRODUCTS:
        before = next((source.makers[name] for name in at.inputs if name in source.makers), None)
        if before is None:
            return named
        at = before
    return at

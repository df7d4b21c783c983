"""Three products of one input as one: the queries, keys and values of an attention."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import onnx

ATTENTION = "GroupQueryAttention"
_PRODUCTS = {"MatMul": (1,), "MatMulNBits": (0, 0, 0)}
"""By operator, the axis of the outputs in each weight that it takes behind its input."""


class _Product(NamedTuple):
    """A product with weights, and what is added to it."""

    node: onnx.NodeProto
    bias: onnx.NodeProto | None
    bias_name: str


def pack_attention(graph: onnx.GraphProto) -> None:
    """Let each attention take one product in place of three, in place; those that differ in kind stay."""
    weights = {weight.name: weight for weight in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    users: dict[str, int] = {}
    for node in graph.node:
        for name in node.input:
            users[name] = users.get(name, 0) + 1
    removed: list[onnx.NodeProto] = []
    for node in [node for node in graph.node if node.op_type == ATTENTION and node.input[1]]:
        found = [_find_product(name, makers, weights) for name in node.input[:3]]
        products = [each for each in found if each is not None]
        alone = all(users[name] == 1 for name in node.input[:3])
        if len(products) == 3 and alone and _are_alike(products):
            node.input[0] = _join(graph, products)
            node.input[1] = node.input[2] = ""
            removed += [part for each in products for part in each[:2] if part is not None]
    gone = {part.output[0] for part in removed}
    kept = [node for node in graph.node if node.output[0] not in gone]
    _replace_nodes(graph, kept)


def _find_product(
    name: str, makers: Mapping[str, onnx.NodeProto], weights: Mapping[str, onnx.TensorProto]
) -> _Product | None:
    node, bias, bias_name = makers.get(name), None, ""
    if node is not None and node.op_type == "Add":
        bias_name = next((each for each in node.input if each in weights), "")
        other = next((each for each in node.input if each != bias_name), "")
        bias, node = node, makers.get(other) if bias_name else None
    if node is None or node.op_type not in _PRODUCTS:
        return None
    stored = all(each in weights for each in node.input[1:])
    return _Product(node, bias, bias_name) if stored else None


def _are_alike(products: Sequence[_Product]) -> bool:
    forms = {
        (
            each.node.op_type,
            each.node.input[0],
            len(each.node.input),
            bool(each.bias_name),
            tuple(
                sorted(
                    (a.name, a.SerializeToString()) for a in each.node.attribute if a.name != "N"
                )
            ),
        )
        for each in products
    }
    return len(forms) == 1


def _join(graph: onnx.GraphProto, products: Sequence[_Product]) -> str:
    """Add one product of all outputs in front of where the first stood; gives the name of what it makes."""
    first = products[0].node
    packed = f"{first.output[0]}_packed"
    node = onnx.NodeProto()
    node.CopyFrom(first)
    node.name = f"{first.name}/packed"
    node.output[0] = packed
    joins = []
    for position, axis in enumerate(_PRODUCTS[first.op_type][: len(first.input) - 1], 1):
        parts = [each.node.input[position] for each in products]
        node.input[position] = f"{parts[0]}_packed"
        joins.append(_join_weights(parts, node.input[position], axis))
    for attribute in node.attribute:
        if attribute.name == "N":
            attribute.i = sum(
                a.i for each in products for a in each.node.attribute if a.name == "N"
            )
    made, given = [*joins, node], packed
    if products[0].bias_name:
        given = f"{packed}_biased"
        made.append(_join_weights([each.bias_name for each in products], f"{given}_bias", 0))
        ends = [packed, f"{given}_bias"], [given]
        made.append(onnx.helper.make_node("Add", *ends, name=f"{node.name}/bias"))
    at = list(graph.node).index(first)
    for each in reversed(made):
        graph.node.insert(at, each)
    return given


def _join_weights(parts: Sequence[str], joined: str, axis: int) -> onnx.NodeProto:
    """A node of weights alone, which an engine computes once, when it opens the file: so the parts are stored as the plain
    file has them."""
    return onnx.helper.make_node("Concat", parts, [joined], name=joined, axis=axis)


def drop_unused_outputs(graph: onnx.GraphProto, domain: str) -> None:
    """Leave out what operators of `domain` may give and nobody takes, in place."""
    used = {name for node in graph.node for name in node.input}
    used |= {value.name for value in graph.output}
    for node in graph.node:
        if node.domain != domain:
            continue
        names = [name if name in used else "" for name in node.output]
        while names and not names[-1]:
            names.pop()
        node.output[:] = names


def _replace_nodes(graph: onnx.GraphProto, nodes: Sequence[onnx.NodeProto]) -> None:
    copied = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copied)

"""Which outputs of an ONNX file are probabilities of one thing each, as its graph tells: their numbers may all be small."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

SOURCES = {"Sigmoid", "HardSigmoid"}
"""A softmax is none of them: its rows, which add up to 1, tell themselves."""
PASSED = {
    "Cast",
    "Concat",
    "Flatten",
    "Gather",
    "Identity",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
"""Operators whose numbers lie where those of what they are given lie."""


def find_probabilities(data: bytes) -> set[str]:
    """Names of the outputs that a sigmoid makes, in each branch where there are several.

    Args:
        data: a file that was admitted.
    """
    graph = onnx.load_from_string(data).graph
    return {end.name for end in graph.output if _is_probability(graph, end.name)}


def _is_probability(
    graph: onnx.GraphProto, name: str, around: Mapping[str, onnx.NodeProto] = {}
) -> bool:
    makers = {**around, **{output: node for node in graph.node for output in node.output}}
    ahead, passed = [name], set[str]()
    while ahead:
        each = ahead.pop()
        node = makers.get(each)
        if node is None:
            return False
        if each in passed or node.op_type in SOURCES:
            continue
        passed.add(each)
        if node.op_type == "If":
            number = list(node.output).index(each)
            branches = [word.g for word in node.attribute if word.HasField("g")]
            ends = [inner.output[number].name for inner in branches]
            if not all(map(_is_probability, branches, ends, [makers] * len(ends))):
                return False
        elif node.op_type in PASSED:
            ahead += node.input if node.op_type == "Concat" else node.input[:1]
        else:
            return False
    return True

"""Outputs that a graph makes probabilities."""

from __future__ import annotations

import onnx
import pytest
from onnx import helper

from edgekd.learn.onnx_import.probabilities import find_probabilities
from tests.onnx_example import make_model

node = helper.make_node
ENDS = {"x": [1, 4]}, {"y": [1, 4]}


def branch(op: str) -> onnx.GraphProto:
    end = helper.make_tensor_value_info("z", 1, [1, 4])
    return helper.make_graph([node(op, ["x"], ["z"])], op, [], [end])


def either(one: str, other: str) -> list[onnx.NodeProto]:
    constant = helper.make_tensor("c", onnx.TensorProto.BOOL, [], [True])
    return [
        node("Constant", [], ["c"], value=constant),
        node("If", ["c"], ["y"], then_branch=branch(one), else_branch=branch(other)),
    ]


def outer(name: str) -> list[onnx.NodeProto]:
    nodes = either("Identity", "Sigmoid")
    (then,) = (word.g for word in nodes[1].attribute if word.name == "then_branch")
    then.node[0].input[0] = name
    return nodes


@pytest.mark.parametrize(
    ("nodes", "is_one"),
    [
        ([node("Sigmoid", ["x"], ["y"])], True),
        ([node("HardSigmoid", ["x"], ["s"]), node("Transpose", ["s"], ["y"])], True),
        ([node("Softmax", ["x"], ["y"])], False),
        ([node("Sigmoid", ["x"], ["s"]), node("Concat", ["s", "s"], ["y"], axis=0)], True),
        ([node("Sigmoid", ["x"], ["s"]), node("Concat", ["s", "x"], ["y"], axis=0)], False),
        ([node("Sigmoid", ["x"], ["s"]), node("Mul", ["s", "x"], ["y"])], False),
        ([node("Identity", ["x"], ["y"])], False),
        (either("Sigmoid", "HardSigmoid"), True),
        (either("Sigmoid", "Relu"), False),
        ([node("Sigmoid", ["x"], ["x2"]), *outer("x2")], True),
        ([node("Relu", ["x"], ["x2"]), *outer("x2")], False),
    ],
)
def test_what_makes_an_output(nodes: list[onnx.NodeProto], is_one: bool) -> None:
    found = find_probabilities(make_model(nodes, *ENDS).SerializeToString())
    assert found == ({"y"} if is_one else set())

"""An imported graph as a module: traced with a free batch, quantized, and written again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from edgekd.interface import BATCH
from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.learn import blueprint
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.onnx_import import graph as graphs
from edgekd.learn.onnx_import.network import OnnxNetwork
from edgekd.learn.onnx_import.reading import convert_model
from edgekd.learn.quant import tracing
from tests.onnx_example import classifier
from tests.onnx_example import make_model
from tests.onnx_example import run_model

ENDS = Interface(
    (Tensor("x", "float32", (BATCH, 3, 8, 8)),),
    (Tensor("probabilities", "float32", (BATCH, 3)),),
)


def test_a_traced_import_has_the_operators_of_a_native_model_and_no_others() -> None:
    model = convert_model(classifier())
    traced = tracing.trace(OnnxNetwork(model.graph, model.weights).eval(), ENDS)
    names = [tracing.operator_of(n) for n in traced.graph.nodes if n.op == "call_function"]
    assert names == [
        *("conv2d", "hardswish", "adaptive_avg_pool2d", "flatten", "linear", "layer_norm"),
        *("linear", "softmax"),
    ]


def test_shapes_that_are_reckoned_leave_nothing_in_the_trace() -> None:
    node = helper.make_node
    nodes = [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "at"], ["b"], axis=0),
        node("Concat", ["b", "rest"], ["goal"], axis=0),
        node("Reshape", ["x", "goal"], ["r"]),
        node("MatMul", ["r", "w"], ["y"]),
    ]
    weights = {"at": np.array([0]), "rest": np.array([-1]), "w": np.ones((192, 2), np.float32)}
    model = convert_model(make_model(nodes, {"x": [BATCH, 3, 8, 8]}, {"y": [BATCH, 2]}, weights))
    ends = ENDS._replace(outputs=(Tensor("y", "float32", (BATCH, 2)),))
    traced = tracing.trace(OnnxNetwork(model.graph, model.weights).eval(), ends)
    names = [tracing.operator_of(n) for n in traced.graph.nodes if n.op == "call_function"]
    assert [name for name in names if name != "sym_size"] == ["reshape", "linear"]


def test_a_blueprint_builds_it_again_without_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    onnx.save(classifier(), path)
    plan = Blueprint(builder="onnx", arguments={"reference": str(path)}, interface=ENDS)
    made = blueprint.save(blueprint.build(plan), plan, tmp_path)
    path.unlink()
    again = blueprint.load(made["blueprint.json"], made["weights.safetensors"])
    x = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
    with torch.no_grad():
        got = again(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(got, run_model(classifier(), x)[0], 1e-4, 1e-6)


def test_a_graph_survives_its_text() -> None:
    graph = convert_model(classifier()).graph
    again = graphs.from_text(graphs.to_text(graph))
    assert again._replace(constants={}) == graph._replace(constants={})
    assert again.constants.keys() == graph.constants.keys()
    assert graphs.to_text(again) == graphs.to_text(graph)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"nodes": 1}', "null"])
def test_a_text_that_is_no_graph_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        graphs.from_text(text)


def test_an_operator_that_cannot_run_is_named() -> None:
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    model = convert_model(make_model([node], {"x": [2, 3], "shape": [2]}, {"y": [3, 2]}))
    network = OnnxNetwork(model.graph, model.weights)
    with pytest.raises(ValueError, match=r"Reshape \(y\): takes sizes that depend on"):
        network(torch.ones(2, 3), torch.tensor([3, 2]))


def test_what_has_no_room_or_no_form_is_refused_in_words() -> None:
    huge = [
        helper.make_node("ConstantOfShape", ["sizes"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]
    sizes = {"sizes": np.array([10**7, 10**7])}
    model = convert_model(make_model(huge, {"x": [2, 3]}, {"y": [2, 3]}, sizes))
    with pytest.raises(ValueError, match="ConstantOfShape"):
        OnnxNetwork(model.graph, model.weights)(torch.ones(2, 3))
    like = make_model(
        [helper.make_node("CastLike", ["x", "h"], ["y"])], {"x": [2], "h": [1]}, {"y": [2]}
    )
    model = convert_model(like)
    with pytest.raises(ValueError, match="casts to torch.float16"):
        OnnxNetwork(model.graph, model.weights)(torch.ones(2), torch.ones(1).half())

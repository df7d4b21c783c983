"""What exporters took apart becomes one operator again, and computes the same."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from onnx import helper

from edgekd.learn.onnx_import.network import OnnxNetwork
from edgekd.learn.onnx_import.reading import convert_model
from tests.onnx_example import classifier
from tests.onnx_example import make_model
from tests.onnx_example import run_model


def test_a_graph_in_pieces_is_put_together() -> None:
    model = convert_model(classifier())
    assert Counter(node.op for node in model.graph.nodes) == {
        "Conv": 1,
        "HardSwish": 1,
        "GlobalAveragePool": 1,
        "Flatten": 1,
        "Linear": 2,
        "LayerNormalization": 1,
        "Softmax": 1,
    }


@pytest.mark.parametrize("count", [1, 3])
def test_it_answers_as_before(count: int) -> None:
    x = np.random.default_rng(1).normal(size=(count, 3, 8, 8)).astype(np.float32)
    model = convert_model(classifier())
    with torch.no_grad():
        got = OnnxNetwork(model.graph, model.weights).eval()(torch.from_numpy(x))
    np.testing.assert_allclose(got.numpy(), run_model(classifier(), x)[0], 1e-4, 1e-6)


@pytest.mark.parametrize(
    ("changed", "left"),
    [
        ("clip", "Clip"),
        ("two", "Pow"),
        ("three", "Clip"),
        ("six", "Clip"),
    ],
)
def test_what_has_other_numbers_stays_as_it_is(changed: str, left: str) -> None:
    model = classifier()
    if changed == "clip":  # somebody else reads it, too
        model.graph.output.append(helper.make_tensor_value_info("clip", 1, ["batch", 6, 4, 4]))
    for weight in model.graph.initializer:
        if weight.name == changed:
            weight.raw_data = np.array(4.0, np.float32).tobytes()
    found = convert_model(model)
    assert left in [node.op for node in found.graph.nodes]
    x = np.abs(np.random.default_rng(1).normal(size=(2, 3, 8, 8))).astype(np.float32)
    with torch.no_grad():
        got = OnnxNetwork(found.graph, found.weights).eval()(torch.from_numpy(x))
    for one, want in zip(
        got if isinstance(got, tuple) else (got,), run_model(model, x), strict=True
    ):
        np.testing.assert_allclose(one.numpy(), want, 1e-4, 1e-5, equal_nan=True)


@pytest.mark.parametrize("shape", [(1, 4, 1, 1), (4, 1, 1), (1,), (), (4,), (1, 1, 1, 6)])
@pytest.mark.parametrize("op", ["Mul", "Add", "Div"])
@pytest.mark.parametrize("first", [True, False])
def test_a_factor_or_shift_of_any_shape_behind_a_layer_computes_the_same(
    shape: tuple[int, ...], op: str, first: bool
) -> None:
    if shape == (4,):
        shape = (6,)  # along the last axis, which is not that of the channels
    random = np.random.default_rng(2)
    weights = {
        "w": random.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "b": random.normal(size=4).astype(np.float32),
        "k": random.uniform(0.5, 2, shape).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node(op, ["k", "c"] if first else ["c", "k"], ["y"]),
    ]
    model = make_model(nodes, {"x": [2, 3, 5, 6]}, {"y": [2, 4, 5, 6]}, weights)
    x = random.normal(size=(2, 3, 5, 6)).astype(np.float32)
    found = convert_model(model)
    with torch.no_grad():
        got = OnnxNetwork(found.graph, found.weights).eval()(torch.from_numpy(x))
    np.testing.assert_allclose(got.numpy(), run_model(model, x)[0], 1e-3, 1e-5)
    along = shape and shape[-1] == 6
    folded = not along and not (op == "Div" and first)
    assert (len(found.graph.nodes) == 1) == folded


@pytest.mark.parametrize("form", range(3))
def test_gelu_is_known_in_its_forms(form: int) -> None:
    node, numbers = helper.make_node, {"half": 0.5, "one": 1.0, "root": 2**0.5}
    head = [
        node("Div", ["x", "root"], ["r"]),
        node("Erf", ["r"], ["e"]),
        node("Add", ["e", "one"], ["s"]),
    ]
    tails = [
        [node("Mul", ["x", "s"], ["p"]), node("Mul", ["p", "half"], ["y"])],
        [node("Mul", ["x", "half"], ["p"]), node("Mul", ["p", "s"], ["y"])],
        [node("Mul", ["half", "x"], ["p"]), node("Mul", ["s", "p"], ["y"])],
    ]
    weights = {name: np.array(value, np.float32) for name, value in numbers.items()}
    model = make_model([*head, *tails[form]], {"x": [2, 5]}, {"y": [2, 5]}, weights)
    found = convert_model(model)
    assert [each.op for each in found.graph.nodes] == ["Gelu"]
    x = np.random.default_rng(3).normal(size=(2, 5)).astype(np.float32)
    got = OnnxNetwork(found.graph, found.weights)(torch.from_numpy(x))
    np.testing.assert_allclose(got.numpy(), run_model(model, x)[0], 1e-4, 1e-6)

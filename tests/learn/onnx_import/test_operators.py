"""Operators against two independent judges: onnx's own reference cases, and ONNX Runtime on drawn inputs."""

from __future__ import annotations

import warnings
from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from onnx import helper

from edgekd.learn.onnx_import.network import OnnxNetwork
from edgekd.learn.onnx_import.operators import OPERATORS
from edgekd.learn.onnx_import.reading import convert_model
from tests.onnx_example import make_model
from tests.onnx_example import run_model

OTHER_TYPES = ("cast", "bfloat16", "bf16", "float16", "fp16", "string", "softmax_precision")
"""Cases of numbers that no imported graph has."""


def test_reference_cases_of_onnx_are_answered_alike_or_refused_in_words() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases(None)
    found = Counter[str]()
    answered = set[str]()
    for case in cases:
        if any(word in case.name for word in OTHER_TYPES) or case.model is None:
            continue
        try:
            inputs, outputs = case.data_sets[0]
            fixed = _fix_settings(case.model, inputs)
            model = convert_model(fixed)
            network = OnnxNetwork(model.graph, model.weights).eval()
            named = dict(zip((end.name for end in case.model.graph.input), inputs, strict=True))
            for inputs in [[named[name] for name in model.graph.inputs]]:
                with torch.no_grad():
                    got = network(*(torch.from_numpy(np.array(each)) for each in inputs))
                got = got if isinstance(got, tuple) else (got,)
                for one, want in zip(got, outputs, strict=False):
                    want = np.asarray(want)
                    assert list(one.shape) == list(want.shape), case.name
                    assert one.numpy().dtype == want.dtype, case.name
                    np.testing.assert_allclose(
                        one.numpy().astype(float), want.astype(float), 1e-3, 1e-5, err_msg=case.name
                    )
            found["alike"] += 1
            answered |= {node.op_type for node in case.model.graph.node}
        except ValueError as error:
            assert str(error)
            found["refused"] += 1
    assert found["alike"] >= 860, found
    left = set(OPERATORS) - answered - {"Linear", "LayerNormalization", "GRU"}
    assert not left, f"no case of {left} is answered"


def _fix_settings(model: onnx.ModelProto, inputs: list[np.ndarray]) -> onnx.ModelProto:
    """The model with whole numbers behind its first input, and what resizes, in the file."""
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    resizes = model.graph.node[0].op_type in ("Resize", "Upsample", "OneHot")
    for end, value in list(zip(model.graph.input, inputs, strict=True))[1:]:
        array = np.asarray(value)
        if array.ndim < 2 and (array.dtype == np.int64 or resizes):
            fixed.graph.initializer.append(onnx.numpy_helper.from_array(array, end.name))
    return fixed


@pytest.mark.parametrize(
    ("op", "words", "weights"),
    [
        ("Conv", {"pads": [1, 0, 2, 1], "strides": [2, 1]}, {"w": (4, 3, 3, 2), "b": (4,)}),
        ("Conv", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, {"w": (4, 3, 3, 3)}),
        ("Conv", {"group": 3, "dilations": [2, 1]}, {"w": (6, 1, 2, 2), "b": (6,)}),
        ("ConvTranspose", {"strides": [2, 2], "output_padding": [1, 0]}, {"w": (3, 4, 3, 3)}),
        (
            "ConvTranspose",
            {"strides": [2, 2], "pads": [0, 1, 1, 0]},
            {"w": (3, 4, 3, 3), "b": (4,)},
        ),
        ("MaxPool", {"kernel_shape": [3, 2], "pads": [1, 0, 0, 1], "ceil_mode": 1}, {}),
        ("AveragePool", {"kernel_shape": [3, 3], "pads": [0, 1, 1, 0]}, {}),
        ("InstanceNormalization", {}, {"w": (3,), "b": (3,)}),
        ("LayerNormalization", {"axis": -1}, {"w": (6,), "b": (6,)}),
        ("LayerNormalization", {"axis": 1}, {"w": (3, 7, 6)}),
        ("PRelu", {}, {"w": (3, 1, 1)}),
        ("PRelu", {}, {"w": (1,)}),
        ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, {}),
        ("HardSigmoid", {"alpha": 0.3, "beta": 0.4}, {}),
        ("DepthToSpace", {"blocksize": 1, "mode": "CRD"}, {}),
        ("Softmax", {"axis": 1}, {}),
    ],
)
@pytest.mark.parametrize("opset", [11, 17])
def test_layers_answer_as_onnx_runtime_does(
    op: str, words: dict[str, object], weights: dict[str, tuple[int, ...]], opset: int
) -> None:
    if op == "LayerNormalization" and opset < 17:
        pytest.skip("it is of operator set 17")
    random = np.random.default_rng(0)
    values = {n: random.normal(size=size).astype(np.float32) for n, size in weights.items()}
    node = helper.make_node(op, ["x", *weights], ["y"], **words)
    model = make_model([node], {"x": ["n", 3, 7, 6]}, {"y": None}, values, opset)  # type: ignore[dict-item]
    _require_alike(model, random.normal(size=(2, 3, 7, 6)).astype(np.float32))


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize(
    "places", ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"]
)
@pytest.mark.parametrize("factor", [2.0, 1.5, 0.5])
def test_a_resize_answers_as_onnx_runtime_does_or_is_refused(
    mode: str, places: str, factor: float
) -> None:
    rounding = "floor" if places == "asymmetric" else "round_prefer_floor"
    words = {"mode": mode, "coordinate_transformation_mode": places, "nearest_mode": rounding}
    node = helper.make_node("Resize", ["x", "", "scales"], ["y"], **words)
    scales = {"scales": np.array([1, 1, factor, factor], np.float32)}
    model = make_model([node], {"x": ["n", 3, 8, 6]}, {"y": None}, scales)  # type: ignore[dict-item]
    x = np.random.default_rng(0).normal(size=(2, 3, 8, 6)).astype(np.float32)
    try:
        _require_alike(model, x)
    except ValueError as error:
        assert "no form in torch" in str(error)


@pytest.mark.parametrize("op", ["LSTM", "GRU"])
@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
def test_recurrent_layers_answer_as_onnx_runtime_does(op: str, direction: str) -> None:
    random = np.random.default_rng(0)
    ways, gates = 1 + (direction == "bidirectional"), 4 if op == "LSTM" else 3
    sizes = {"w": (ways, gates * 5, 6), "r": (ways, gates * 5, 5), "b": (ways, 2 * gates * 5)}
    values = {n: random.normal(size=size).astype(np.float32) for n, size in sizes.items()}
    words = {"hidden_size": 5, "direction": direction}
    if op == "GRU":
        words["linear_before_reset"] = 1
    node = helper.make_node(op, ["x", *sizes], ["y", "h"], **words)
    outputs = {"y": [7, ways, 2, 5], "h": [ways, 2, 5]}
    model = make_model([node], {"x": [7, 2, 6]}, outputs, values)
    _require_alike(model, random.normal(size=(7, 2, 6)).astype(np.float32))


def _require_alike(model: onnx.ModelProto, x: np.ndarray) -> None:
    found = convert_model(model)
    with torch.no_grad():
        got = OnnxNetwork(found.graph, found.weights).eval()(torch.from_numpy(x))
    for one, want in zip(
        got if isinstance(got, tuple) else (got,), run_model(model, x), strict=True
    ):
        np.testing.assert_allclose(one.numpy(), want, 1e-4, 1e-5)


def test_sizes_are_divided_towards_zero_and_slices_may_be_empty() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Sub", ["shape", "much"], ["less"]),
        helper.make_node("Div", ["less", "two"], ["half"]),
        helper.make_node("Cast", ["half"], ["numbers"], to=1),
        helper.make_node("Add", ["x", "numbers"], ["sum"]),
        helper.make_node("Slice", ["sum", "zero", "low", "one"], ["none"]),
        helper.make_node("Concat", ["sum", "none"], ["y"], axis=1),
    ]
    whole = {"much": [9, 3], "two": [2, 2], "zero": [0], "low": [-(2**63) + 1], "one": [1]}
    values = {name: np.array(each, np.int64) for name, each in whole.items()}
    file = make_model(nodes, {"x": ["rows", 2]}, {"y": ["rows", 2]}, values)
    model = convert_model(file)
    network = OnnxNetwork(model.graph, model.weights)
    for rows in (2, 5, 12):
        x = np.zeros((rows, 2), np.float32)
        (want,) = run_model(file, x)
        assert np.array_equal(network(torch.from_numpy(x)).numpy(), want)


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_a_pool_whose_last_window_may_lie_in_the_padding_is_refused(op: str) -> None:
    words = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 1, 2, 0], "ceil_mode": 1}
    node = helper.make_node(op, ["x"], ["y"], **words)
    model = convert_model(make_model([node], {"x": [1, 2, "h", "w"]}, {"y": [1, 2, "a", "b"]}))
    with pytest.raises(ValueError, match="rounds its size up"):
        OnnxNetwork(model.graph, model.weights)(torch.zeros(1, 2, 9, 6))

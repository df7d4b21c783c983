from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgekd.islands import layers
from edgekd.islands.layers import GraphLayer
from edgekd.islands.layers import Operation
from edgekd.runtimes import openvino
from tests import islands_example

needs_openvino = pytest.mark.skipif(openvino.why_not() is not None, reason="openvino is missing")
BARE = "its 4-bit weights are not cast to int8 before DequantizeLinear"
CASES: list[tuple[Callable[..., str], list[tuple[str, str, str]]]] = [
    (islands_example.whole, []),
    (islands_example.signed, []),
    (islands_example.hard_swish, []),
    (islands_example.normalized, []),
    (islands_example.half_residual, []),
    (islands_example.half_bytes, []),
    (
        islands_example.float_weights,
        [("block/Conv", "Convolution", "its weights are not quantized")],
    ),
    (islands_example.bare_half_bytes, [("block/Conv", "Convolution", BARE)]),
]


@needs_openvino
@pytest.mark.parametrize(("body", "want"), CASES, ids=lambda v: getattr(v, "__name__", ""))
def test_what_openvino_leaves_in_float_is_named(
    tmp_path: Path, body: Callable[..., str], want: list[tuple[str, str, str]]
) -> None:
    made = openvino.build(islands_example.write(tmp_path / "m", body), tmp_path, "int8")
    found = openvino.islands(made, "int8")
    assert [(one["node"], one["op"], one["cause"]) for one in found] == want
    floats = openvino.kernels(made, "int8").get("Convolution f32", 0)
    assert floats == len([one for one in found if one["op"] == "Convolution"])


OPERATIONS = {
    "x": Operation("Parameter", (), "f32"),
    "r": Operation("Constant", (), "f32"),
    "q": Operation("FakeQuantize", ("x", "r"), "f32"),
    "codes": Operation("Convert", ("q",), "u8"),
    "float": Operation("Convert", ("codes",), "f32"),
    "d": Operation("Multiply", ("float", "r"), "f32"),
    "w": Operation("Constant", (), "i8"),
    "wf": Operation("Convert", ("w",), "f32"),
    "wd": Operation("Multiply", ("wf", "r"), "f32"),
    "MVN_7": Operation("MVN", ("d",), "f32"),
    "ln/LayerNormalization": Operation("Add", ("MVN_7", "r"), "f32"),
    "fc/MatMul/WithoutBiases": Operation("MatMul", ("ln/LayerNormalization", "wd"), "f32"),
    "fc/MatMul": Operation("Add", ("fc/MatMul/WithoutBiases", "r"), "f32"),
}
RUN = [
    GraphLayer("x", "Input", "f32", ()),
    GraphLayer("q", "Subgraph", "f32", ("x",), ("codes",)),
    GraphLayer("n", "MVN", "f32", ("q",), ("MVN_7",)),
    GraphLayer("m", "FullyConnected", "f32", ("n",), ("fc/MatMul/WithoutBiases", "fc/MatMul")),
    GraphLayer("y", "Output", "f32", ("m",)),
]


def test_a_product_of_quantized_weights_is_told_even_at_the_end() -> None:
    found = layers.find_islands(RUN, OPERATIONS)
    assert found == [
        {"node": "fc/MatMul", "op": "MatMul", "cause": "its input is not quantized"},
    ]


def test_what_lies_between_is_told_by_its_onnx_name() -> None:
    int8 = [*RUN[:3], RUN[3]._replace(precision="u8"), RUN[4]]
    found = layers.find_islands(int8, OPERATIONS)
    assert found == [
        {
            "node": "ln/LayerNormalization",
            "op": "MVN",
            "cause": "OpenVINO computes MVN in float",
        }
    ]


def test_a_float_model_has_no_islands() -> None:
    plain = {name: one for name, one in OPERATIONS.items() if one.kind != "FakeQuantize"}
    assert layers.find_islands(RUN, plain) == []

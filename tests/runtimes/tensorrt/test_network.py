from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto
from onnx import helper

from edgekd.runtimes.tensorrt import library
from edgekd.runtimes.tensorrt import network
from tests import tensorrt_example

needs = pytest.mark.skipif(library.why_not() is not None, reason="no TensorRT is installed")


@pytest.mark.parametrize(
    ("said", "want"),
    [
        (
            "Assertion failed: shiftIsAllZeros(zeroPoint): Non-zero zero point is not supported. "
            "Please set kENABLE_UINT8_AND_ASYMMETRIC_QUANTIZATION_DLA if it is on DLA.",
            "Non-zero zero point is not supported",
        ),
        (
            "Invalid Node - b/DQ\nITensor::getDimensions: Error Code 4: API Usage Error (b/DQ: input "
            "has type Int32 but must have type Int8. In checkType at /_src/common/nodeBase.cpp:456)\n"
            "[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime (...)",
            "b/DQ: input has type Int32 but must have type Int8",
        ),
        ("Assertion failed: x > 0", "Assertion failed: x > 0"),
        ("Invalid Node - a", "Invalid Node - a"),
        ("", "no reason given"),
        ("x" * 10_000, "x" * network.LONGEST),
    ],
)
def test_the_line_that_says_what_is_wrong(said: str, want: str) -> None:
    assert network.error_reason(said) == want


def test_the_first_error_of_a_log_counts() -> None:
    lines = [
        ("WARNING", "slow"),
        ("ERROR", "[checkMacros.cpp::catchCudaError::250] Error Code 1"),
        ("ERROR", "no implementation of a"),
        ("ERROR", "build failed"),
    ]
    assert network.last_error(SimpleNamespace(lines=lines)) == "no implementation of a"
    assert network.last_error(SimpleNamespace(lines=lines[:1])) == "no reason given"


def test_a_network_is_strongly_typed_where_that_is_a_choice() -> None:
    flag = SimpleNamespace(STRONGLY_TYPED=1)
    assert network._flags(SimpleNamespace(NetworkDefinitionCreationFlag=flag)) == 2
    none = SimpleNamespace(NetworkDefinitionCreationFlag=SimpleNamespace())
    assert network._flags(none) == 0


def parsed(path: Path) -> Any:
    opened = library.load_library()
    builder = opened.module.Builder(opened.log)
    found, parser = network.parse_network(opened, builder, path)
    return opened, found, (parser, builder)


@needs
def test_a_quantized_file_is_told_from_a_float_one(tmp_path: Path) -> None:
    for quantized in (True, False):
        path = tensorrt_example.write(tmp_path / "m", quantized=quantized)
        opened, found, kept = parsed(path)
        assert network.is_quantized(opened, found) is quantized
        del kept


@needs
@pytest.mark.parametrize(
    ("wrong", "node", "reason"),
    [
        ({"zero_point": 3}, r"x/QuantizeLinear \(QuantizeLinear\)", "Non-zero zero point"),
        ({"whole_bias": True}, r"b0/DequantizeLinear \(Deq", "input has type Int32"),
        ({"activation": np.uint8}, r"x/QuantizeLinear \(QuantizeLinear\)", "got u8, want i8"),
    ],
)
def test_what_it_cannot_run_names_the_node(
    tmp_path: Path, wrong: dict[str, Any], node: str, reason: str
) -> None:
    path = tensorrt_example.write(tmp_path / "net.onnx", **wrong)
    with pytest.raises(ValueError, match=f"TensorRT refuses net.onnx: {node}") as caught:
        parsed(path)
    assert reason in str(caught.value) and "\n" not in str(caught.value)


@needs
def test_a_zero_point_that_is_left_out_means_uint8(tmp_path: Path) -> None:
    path = tensorrt_example.write(tmp_path / "net.onnx")
    model = onnx.load(path)
    del model.graph.node[0].input[2]
    onnx.save(model, path)
    with pytest.raises(
        ValueError, match=r"x/QuantizeLinear \(Quant.*: got no zero-point, which means uint8"
    ):
        parsed(path)


def test_a_quantizer_without_any_input_is_told_too(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", [], ["a"]),
        helper.make_node("QuantizeLinear", [], []),
    ]
    graph = helper.make_graph(nodes, "net", [], [])
    onnx.save(helper.make_model(graph), tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=r"refuses net.onnx: \? \(QuantizeLinear\): got no zero"):
        network._want_signed(tmp_path / "net.onnx")


@needs
def test_an_operator_it_lacks_names_the_node(tmp_path: Path) -> None:
    node = helper.make_node("Mystery", ["x"], ["y"], name="block.odd/Mystery")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3]) for name in "xy"]
    graph = helper.make_graph([node], "net", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=r"net.onnx: block.odd/Mystery \(Mystery\): "):
        parsed(tmp_path / "net.onnx")


@needs
def test_shapes_that_do_not_fit_name_the_node(tmp_path: Path) -> None:
    path = tensorrt_example.write(tmp_path / "net.onnx", quantized=False)
    model = onnx.load(path)
    weight = next(w for w in model.graph.initializer if w.name == "v")
    weight.dims[:] = [tensorrt_example.WIDTH, tensorrt_example.CLASSES]
    onnx.save(model, path)
    with pytest.raises(ValueError, match="net.onnx: head/Gemm"):
        parsed(path)

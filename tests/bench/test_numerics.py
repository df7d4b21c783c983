from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx import numpy_helper

from edgekd import graph
from edgekd.bench import numerics
from edgekd.errors import InputError
from tests import bench_example
from tests import foreign_example
from tests.foreign_example import save
from tests.foreign_example import value


def of(path: Path) -> str:
    return numerics.name_numerics(numerics.read_contents(path), graph.read(path).inputs)


def test_a_file_is_called_what_it_computes_in(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    assert of(bench_example.write_onnx(path)) == "fp32"
    assert of(foreign_example.half(path)) == "fp16"
    assert of(foreign_example.quantized(path)) == "int8"
    assert of(foreign_example.unary(path, "Abs", [2], onnx.TensorProto.DOUBLE)) == "fp64"
    assert of(foreign_example.unary(path, "Abs", [2], onnx.TensorProto.INT32)) == "i32"


def test_weights_that_are_only_stored_in_8_bits_make_no_int8_graph(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["d"]),
        helper.make_node("MatMul", ["x", "d"], ["y"]),
    ]
    stored = {"w": np.ones((4, 2), np.int8), "s": np.float32(0.1)}
    model = save(tmp_path / "net.onnx", nodes, [value("x", ["N", 4])], [value("y", None)], stored)
    assert of(model) == "fp32"


QUANTIZE = helper.make_node("QuantizeLinear", ["h", "s"], ["q"])
DEQUANTIZE = helper.make_node("DequantizeLinear", ["q", "s"], ["d"])
STORED = {"w": np.ones((4, 2), np.float16), "s": np.float32(0.1)}


@pytest.mark.parametrize(("read", "name"), [("h", "fp16"), ("d", "int8")])
def test_only_what_an_output_needs_counts(tmp_path: Path, read: str, name: str) -> None:
    """The same nodes twice: where nothing reads the 8-bit ones, engines leave them out."""
    nodes = [
        helper.make_node("Relu", ["x"], ["h"]),
        QUANTIZE,
        DEQUANTIZE,
        helper.make_node("MatMul", [read, "w"], ["y"]),
    ]
    dead = {"dead": np.ones((100, 100), np.float64)}
    path = save(
        tmp_path / "net.onnx", nodes, [value("x", ["N", 4])], [value("y", None)], STORED | dead
    )
    assert of(path) == name
    assert numerics.read_contents(path).floats["fp64"] == 0


@pytest.mark.parametrize(("output", "name"), [("h", "fp32"), ("d", "int8")])
def test_a_branch_needs_what_it_reads_from_around_it(
    tmp_path: Path, output: str, name: str
) -> None:
    out = value("b", None)
    graphs = {
        f"{which}_branch": helper.make_graph(
            [helper.make_node("Relu", [output], ["b"])], which, [], [out]
        )
        for which in ("then", "else")
    }
    nodes = [
        helper.make_node("Relu", ["x"], ["h"]),
        QUANTIZE,
        DEQUANTIZE,
        helper.make_node("If", ["which"], ["y"], **graphs),
    ]
    inputs = [value("x", ["N", 4]), value("which", [], onnx.TensorProto.BOOL)]
    assert of(save(tmp_path / "net.onnx", nodes, inputs, [value("y", None)], STORED)) == name


@pytest.mark.parametrize(("called", "used", "name"), [(0, "h", 0), (1, "h", 0), (1, "d", 1)])
def test_a_function_counts_where_it_is_called_and_as_far_as_its_outputs_need(
    tmp_path: Path, called: int, used: str, name: int
) -> None:
    body = [
        helper.make_node("Relu", ["x"], ["h"]),
        helper.make_node("Constant", [], ["s"], value_float=0.1),
        QUANTIZE,
        DEQUANTIZE,
        helper.make_node("Identity", [used], ["y"]),
    ]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    function = helper.make_function("own", "QLinearThing", ["x"], ["y"], body, opsets[:1])
    calls = [
        helper.make_node("QLinearThing", ["x"], ["y"], domain="own")
        if called
        else helper.make_node("Relu", ["x"], ["y"])
    ]
    ends = [value("x", ["N", 4])], [value("y", ["N", 4])]
    graph = helper.make_graph(calls, "g", *ends)
    model = helper.make_model(graph, functions=[function], opset_imports=opsets, ir_version=9)
    onnx.save(model, tmp_path / "net.onnx")
    assert of(tmp_path / "net.onnx") == ("int8" if name else "fp32")


@pytest.mark.parametrize(("quantized", "name"), [(True, "int8"), (False, "fp16")])
def test_what_lies_in_branches_counts(tmp_path: Path, quantized: bool, name: str) -> None:
    """A voice activity model of 2024 holds all it computes with in the branches of one If."""
    held = numpy_helper.from_array(np.ones(3, np.float16), "w")
    branch = [helper.make_node("Constant", [], ["w"], value=held)]
    branch += (
        [helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"])] if quantized else []
    )
    branch += [helper.make_node("Cast", ["q"], ["n"], to=10)] if quantized else []
    branch += [helper.make_node("Add", ["n" if quantized else "w", "w"], ["y"])]
    out = value("y", None, onnx.TensorProto.FLOAT16)
    graphs = {
        f"{which}_branch": helper.make_graph(branch, which, [], [out]) for which in ("then", "else")
    }
    node = helper.make_node("If", ["which"], ["y"], **graphs)
    inputs = [value("x", ["N"]), value("which", [], onnx.TensorProto.BOOL)]
    assert of(save(tmp_path / "net.onnx", [node], inputs, [out])) == name


def test_labels() -> None:
    def labels(asked: tuple[str, ...], found: str, runtime: str) -> list[tuple[str, str]]:
        return [tuple(label) for label in numerics.make_labels("net", asked, found, runtime)]

    assert labels((), "fp32", "onnxruntime") == [("fp32", "")]
    assert labels((), "int8", "openvino") == [("int8", "")]
    assert labels(("int8", "int8-bf16"), "int8", "openvino") == [("int8", ""), ("int8-bf16", "")]
    # ONNX Runtime keeps float16, OpenVINO computes it in the float it is told
    assert labels((), "fp16", "onnxruntime") == [("fp32", "fp16")]
    assert labels((), "fp16", "openvino") == [("fp32", "")]
    assert labels(("fp32", "fp16"), "fp16", "openvino") == [("fp32", ""), ("fp16", "")]


@pytest.mark.parametrize(
    ("asked", "found", "runtime"),
    [
        ("int8", "fp32", "onnxruntime"),
        ("int8-bf16", "fp32", "openvino"),
        ("int8", "fp16", "openvino"),
        ("fp32", "int8", "onnxruntime"),
        ("bf16", "int8", "openvino"),
        ("fp32", "fp16", "onnxruntime"),
    ],
)
def test_a_label_that_is_not_true_is_refused(asked: str, found: str, runtime: str) -> None:
    with pytest.raises(InputError, match=f"net: got precision '{asked}', want '{found}'"):
        numerics.make_labels("net", (asked,), found, runtime)

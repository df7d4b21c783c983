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
    return numerics.of(numerics.read(path), graph.read(path).inputs)


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


@pytest.mark.parametrize(("quantized", "name"), [(True, "int8"), (False, "fp16")])
def test_what_lies_in_branches_counts(tmp_path: Path, quantized: bool, name: str) -> None:
    """A voice activity model of 2024 holds all it computes with in the branches of one If."""
    held = numpy_helper.from_array(np.ones(3, np.float16), "w")
    branch = [helper.make_node("Constant", [], ["w"], value=held)]
    branch += (
        [helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"])] if quantized else []
    )
    branch += [helper.make_node("Identity", ["w"], ["y"])]
    out = value("y", None, onnx.TensorProto.FLOAT16)
    graphs = {
        f"{which}_branch": helper.make_graph(branch, which, [], [out]) for which in ("then", "else")
    }
    node = helper.make_node("If", ["which"], ["y"], **graphs)
    inputs = [value("x", ["N"]), value("which", [], onnx.TensorProto.BOOL)]
    assert of(save(tmp_path / "net.onnx", [node], inputs, [out])) == name


def test_labels() -> None:
    def labels(asked: tuple[str, ...], found: str, runtime: str) -> list[tuple[str, str]]:
        return [tuple(label) for label in numerics.labels("net", asked, found, runtime)]

    assert labels((), "fp32", "onnxruntime") == [("fp32", "")]
    assert labels((), "int8", "openvino") == [("int8", "")]
    # ONNX Runtime keeps float16, OpenVINO computes it in the float it is told
    assert labels((), "fp16", "onnxruntime") == [("fp32", "fp16")]
    assert labels((), "fp16", "openvino") == [("fp32", "")]
    assert labels(("fp32", "fp16"), "fp16", "openvino") == [("fp32", ""), ("fp16", "")]


@pytest.mark.parametrize(
    ("asked", "found", "runtime"),
    [
        ("int8", "fp32", "onnxruntime"),
        ("int8", "fp16", "openvino"),
        ("fp32", "int8", "onnxruntime"),
        ("bf16", "int8", "openvino"),
        ("fp32", "fp16", "onnxruntime"),
    ],
)
def test_a_label_that_is_not_true_is_refused(asked: str, found: str, runtime: str) -> None:
    with pytest.raises(InputError, match=f"net: got precision '{asked}', want '{found}'"):
        numerics.labels("net", (asked,), found, runtime)

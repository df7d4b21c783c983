"""Small ONNX files of the kinds that strangers' exporters write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

Size = int | str | None
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def value(name: str, sizes: Sequence[Size] | None, element: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element, sizes)


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    stored: dict[str, Any] | None = None,
    opset: int = 18,
) -> Path:
    """A model of these parts; `stored` are its initializers."""
    weights = [numpy_helper.from_array(np.asarray(v), n) for n, v in (stored or {}).items()]
    graph = helper.make_graph(list(nodes), "g", list(inputs), list(outputs), weights)
    opsets = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


def unary(path: Path, op: str, sizes: Sequence[Size] | None, element: int = FLOAT) -> Path:
    """One operator from x to y of the same shape."""
    node = helper.make_node(op, ["x"], ["y"])
    return save(path, [node], [value("x", sizes, element)], [value("y", None, element)])


def detector(path: Path) -> Path:
    """Gives the positions of all numbers above 99: none, of what is drawn."""
    nodes = [
        helper.make_node("Greater", ["x", "limit"], ["is"]),
        helper.make_node("NonZero", ["is"], ["where"]),
    ]
    stored = {"limit": np.float32(99)}
    inputs, outputs = [value("x", ["N", 3, "height", "width"])], [value("where", None, INT64)]
    return save(path, nodes, inputs, outputs, stored)


def recurrent(path: Path) -> Path:
    """x [batch, sequence] and a state [2, batch, 4], as voice activity models have them."""
    nodes = [
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=1),
        helper.make_node("Add", ["state", "mean"], ["next"]),
    ]
    inputs = [value("x", ["batch", "sequence"]), value("state", [2, "batch", 4])]
    outputs = [value("next", [2, "batch", 4])]
    return save(path, nodes, inputs, outputs, {"axes": np.array([1])})


def embedding(path: Path, rows: int = 7) -> Path:
    """Looks ids up in a table of so many rows and keeps those that a mask does not hide."""
    nodes = [
        helper.make_node("Cast", ["ids"], ["index"], to=INT64),
        helper.make_node("Gather", ["table", "index"], ["found"], axis=0),
        helper.make_node("Cast", ["mask"], ["kept"], to=FLOAT),
        helper.make_node("Unsqueeze", ["kept", "last"], ["column"]),
        helper.make_node("Mul", ["found", "column"], ["y"]),
    ]
    inputs = [
        value("ids", ["batch", "sequence"], TensorProto.INT32),
        value("mask", ["batch", "sequence"], INT64),
    ]
    table = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    stored = {"table": table, "last": np.array([2])}
    return save(path, nodes, inputs, [value("y", None)], stored)


def reshaped(path: Path) -> Path:
    """Takes its shape as an input, which no drawn number fits."""
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    inputs = [value("x", [2, 6]), value("shape", [2], INT64)]
    return save(path, [node], inputs, [value("y", None)])


def half(path: Path) -> Path:
    """A product in float16."""
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    inputs = [value("x", ["N", 4], TensorProto.FLOAT16)]
    weights = {"w": np.ones((4, 2), np.float16)}
    return save(path, [node], inputs, [value("y", None, TensorProto.FLOAT16)], weights)


def quantized(path: Path) -> Path:
    """A product whose input is quantized."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node("MatMul", ["d", "w"], ["y"]),
    ]
    stored = {"scale": np.float32(0.1), "zero": np.uint8(7), "w": np.ones((4, 2), np.float32)}
    return save(path, nodes, [value("x", ["N", 4])], [value("y", None)], stored)

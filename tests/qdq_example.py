"""A small residual net in float, and as a Q/DQ graph: what a profile may write, and what it may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

CHANNELS, WIDTH, SIDE, CLASSES = 3, 16, 8, 10
SCALE = 0.05


class Graph:
    """Nodes and weights as they come together; `quantized` decides whether Q/DQ pairs are among them."""

    def __init__(self, quantized: bool, zero_point: int, activation: type) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.random = np.random.default_rng(11)
        self.quantized, self.zero_point, self.activation = quantized, zero_point, activation

    def hold(self, name: str, value: NDArray[Any]) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, op: str, inputs: list[str], output: str, name: str, **more: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=name, **more))
        return output

    def pair(self, value: str) -> str:
        """`value` through QuantizeLinear and DequantizeLinear."""
        if not self.quantized:
            return value
        scale = self.hold(f"{value}_scale", np.float32(SCALE))
        zero = self.hold(f"{value}_zero", self.activation(self.zero_point))
        self.add("QuantizeLinear", [value, scale, zero], f"{value}_q", f"{value}/QuantizeLinear")
        goal = f"{value}_dq"
        self.add("DequantizeLinear", [f"{value}_q", scale, zero], goal, f"{value}/DequantizeLinear")
        return goal

    def kernel(self, name: str, *shape: int, quantized: bool = True) -> str:
        """A weight; int8 with one scale an output channel."""
        value = self.random.standard_normal(shape).astype(np.float32)
        if not (self.quantized and quantized):
            return self.hold(name, value)
        scale = (np.abs(value).reshape(shape[0], -1).max(1) / 127).astype(np.float32)
        columns = scale.reshape(-1, *[1] * (value.ndim - 1))
        self.hold(f"{name}_q", np.round(value / columns).astype(np.int8))
        self.hold(f"{name}_scale", scale)
        self.hold(f"{name}_zero", np.zeros(shape[0], np.int8))
        inputs = [f"{name}_q", f"{name}_scale", f"{name}_zero"]
        return self.add("DequantizeLinear", inputs, name, f"{name}/DequantizeLinear", axis=0)

    def bias(self, name: str, size: int, *, whole: bool = False) -> str:
        """In float; with `whole` in int32, as other engines want it."""
        value = self.random.standard_normal(size).astype(np.float32)
        if not whole:
            return self.hold(name, value)
        self.hold(f"{name}_q", np.round(value * 100).astype(np.int32))
        self.hold(f"{name}_scale", np.full(size, 0.01, np.float32))
        self.hold(f"{name}_zero", np.zeros(size, np.int32))
        inputs = [f"{name}_q", f"{name}_scale", f"{name}_zero"]
        return self.add("DequantizeLinear", inputs, name, f"{name}/DequantizeLinear", axis=0)


def write(
    path: Path,
    *,
    quantized: bool = True,
    zero_point: int = 0,
    activation: type = np.int8,
    whole_bias: bool = False,
    second_in_float: bool = False,
    batch: int | str = "N",
    side: int | str = SIDE,
) -> Path:
    """stem/Conv, Relu, block/Conv, Add, Relu, mean over the pixels, head/Gemm.

    Args:
        path: where.
        quantized: with Q/DQ pairs in front of every product and of the sum, or in float.
        zero_point: of the activations.
        activation: numpy's element type of them.
        whole_bias: the bias of the stem in int32.
        second_in_float: no Q/DQ pair for block/Conv.
        batch: of the input.
        side: of the image.
    """
    g = Graph(quantized, zero_point, activation)
    stem = [
        g.pair("x"),
        g.kernel("w0", WIDTH, CHANNELS, 3, 3),
        g.bias("b0", WIDTH, whole=whole_bias),
    ]
    g.add("Conv", stem, "c0", "stem/Conv", pads=[1, 1, 1, 1])
    first = g.add("Relu", ["c0"], "r0", "stem/Relu")
    paired = first if second_in_float else g.pair(first)
    kernel = g.kernel("w1", WIDTH, WIDTH, 3, 3, quantized=not second_in_float)
    g.add("Conv", [paired, kernel, g.bias("b1", WIDTH)], "c1", "block/Conv", pads=[1, 1, 1, 1])
    g.add("Add", [g.pair("c1"), paired], "s", "block/Add")
    g.add("Relu", ["s"], "r1", "block/Relu")
    g.add("GlobalAveragePool", [g.pair("r1")], "p", "pool")
    g.add("Flatten", ["p"], "f", "flatten")
    head = [g.pair("f"), g.kernel("v", CLASSES, WIDTH), g.bias("c", CLASSES)]
    g.add("Gemm", head, "y", "head/Gemm", transB=1)
    graph = helper.make_graph(
        g.nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, CHANNELS, side, side])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, CLASSES])],
        g.weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path

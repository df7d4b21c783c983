"""Small Q/DQ graphs for tests, written by hand: what is whole becomes int8, what is broken does not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto
from onnx import helper
from onnx import numpy_helper

Stored = Literal["u8", "s8"]
CHANNELS, SIDE, CLASSES = 8, 8, 10
TYPES = {"u8": np.uint8, "s8": np.int8}
SAME = {"pads": [1, 1, 1, 1]}


class Writer:
    """A graph that grows node by node; values are names."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.held: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(5)

    def hold(self, value: Any) -> str:
        """An initializer."""
        name = f"c{len(self.held)}"
        self.held.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """One node of one output."""
        output = f"v{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(op, list(inputs), [output], name=name or output, **attributes)
        )
        return output

    def quantized(
        self, value: str, scale: float = 0.02, zero: int = 0, stored: Stored = "u8"
    ) -> str:
        """QuantizeLinear and DequantizeLinear."""
        step, point = self.hold(np.float32(scale)), self.hold(TYPES[stored](zero))
        codes = self.node("QuantizeLinear", value, step, point)
        return self.node("DequantizeLinear", codes, step, point)

    def weights(self, *shape: int, bits: int = 8, cast: bool = True, axis: int = 0) -> str:
        """Random codes, a step for each of `axis`, and their DequantizeLinear."""
        most = 2 ** (bits - 1) - 1
        codes = self.random.integers(-most, most + 1, shape).astype(np.int8)
        steps = np.full(shape[axis], 0.4 / most, np.float32)
        if bits == 8:
            held = self.hold(codes)
        else:
            name = f"c{len(self.held)}"
            self.held.append(helper.make_tensor(name, TensorProto.INT4, shape, codes.flatten()))
            held = self.node("Cast", name, to=TensorProto.INT8) if cast else name
        zeros = [self.hold(np.zeros(shape[axis], np.int8))] if bits == 8 else []
        return self.node("DequantizeLinear", held, self.hold(steps), *zeros, axis=axis)

    def bias(self, size: int) -> str:
        """A float bias."""
        return self.hold(self.random.standard_normal(size).astype(np.float32))

    def conv(self, value: str, name: str, **more: Any) -> str:
        """A 3x3 convolution of `CHANNELS` to as many; `more` goes to `weights`."""
        weights = self.weights(CHANNELS, CHANNELS, 3, 3, **more)
        return self.node("Conv", value, weights, self.bias(CHANNELS), name=name, **SAME)

    def write(self, path: Path, output: str) -> Path:
        """The model, of one input ``x`` [1, C, H, W]."""
        shape = [1, CHANNELS, SIDE, SIDE]
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            self.held,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
        onnx.save(model, path)
        return path


def write(path: Path, body: Callable[[Writer, str], str]) -> Path:
    """Quantized input, a whole Conv-Relu, `body`, a whole Conv, a classifier with quantized logits."""
    writer = Writer()
    value = writer.quantized("x", 0.03, 128)
    value = writer.quantized(
        writer.node("Relu", writer.conv(value, "stem/Conv"), name="stem.act/Relu")
    )
    value = body(writer, value)
    value = writer.quantized(writer.conv(value, "last/Conv"), 0.03, 128)
    value = writer.quantized(writer.node("GlobalAveragePool", value, name="pool/GlobalAveragePool"))
    value = writer.quantized(writer.node("Flatten", value))
    head = writer.weights(CLASSES, CHANNELS)
    value = writer.node("Gemm", value, head, writer.bias(CLASSES), name="fc/Gemm", transB=1)
    return writer.write(path, writer.quantized(value, 0.02, 128))


def whole(writer: Writer, value: str) -> str:
    """A residual block of which nothing stays in float."""
    inner = writer.quantized(writer.conv(value, "block.conv/Conv"), 0.03, 128)
    added = writer.node("Add", inner, value, name="block/Add")
    return writer.quantized(writer.node("Relu", added, name="block.act/Relu"))


def signed(writer: Writer, value: str) -> str:
    """A Relu before a zero-point that does not cut off where it does."""
    inner = writer.node("Relu", writer.conv(value, "block/Conv"), name="block.act/Relu")
    return writer.quantized(inner, 0.02, 0, "s8")


def hard_swish(writer: Writer, value: str) -> str:
    """A convolution whose output an operator without int8 kernel takes."""
    inner = writer.node("HardSwish", writer.conv(value, "block/Conv"), name="block.act/HardSwish")
    return writer.quantized(inner, 0.02, 19)


def normalized(writer: Writer, value: str) -> str:
    """A BatchNormalization that nobody folded."""
    statistics = [writer.hold(np.full(CHANNELS, v, np.float32)) for v in (1.1, 0.1, 0.2, 0.9)]
    inner = writer.conv(value, "block/Conv")
    return writer.quantized(
        writer.node("BatchNormalization", inner, *statistics, name="block.bn/BatchNormalization"),
        0.02,
        128,
    )


def half_residual(writer: Writer, value: str) -> str:
    """A sum of which one side is not quantized."""
    inner = writer.conv(value, "block.conv/Conv")
    return writer.quantized(writer.node("Add", inner, value, name="block/Add"), 0.03, 128)


def float_weights(writer: Writer, value: str) -> str:
    """A convolution whose weights are not quantized."""
    weights = writer.hold(np.ones((CHANNELS, CHANNELS, 3, 3), np.float32) / 30)
    inner = writer.node("Conv", value, weights, name="block/Conv", **SAME)
    return writer.quantized(inner, 0.03, 128)


def half_bytes(writer: Writer, value: str) -> str:
    """4-bit weights that reach the convolution as int8."""
    return writer.quantized(writer.conv(value, "block/Conv", bits=4), 0.03, 128)


def bare_half_bytes(writer: Writer, value: str) -> str:
    """4-bit weights that are dequantized as they are."""
    return writer.quantized(writer.conv(value, "block/Conv", bits=4, cast=False), 0.03, 128)


def late_quantizer(writer: Writer, value: str) -> str:
    """A pool whose output is quantized only behind what moves it."""
    pooled = writer.node("GlobalAveragePool", value, name="block/GlobalAveragePool")
    flat = writer.quantized(writer.node("Flatten", pooled, name="block/Flatten"))
    shape = writer.hold(np.array([1, CHANNELS, 1, 1], np.int64))
    moved = writer.quantized(writer.node("Reshape", flat, shape))
    return writer.quantized(writer.node("Mul", value, moved, name="block/Mul"))


def flattened(writer: Writer, value: str) -> str:
    """A linear layer behind a Flatten, and one whose weights state no zero-point."""
    size, pixels = CHANNELS * SIDE * SIDE, SIDE * SIDE
    flat = writer.node("Flatten", value, name="block/Flatten")
    inner = writer.node("Gemm", flat, writer.weights(size, pixels), name="block.one/Gemm")
    bare = writer.weights(pixels, size, axis=1)
    del writer.nodes[-1].input[2]
    outer = writer.node("Gemm", writer.quantized(inner, 0.03, 128), bare, name="block.two/Gemm")
    shape = writer.hold(np.array([1, CHANNELS, SIDE, SIDE], np.int64))
    return writer.quantized(
        writer.node("Reshape", writer.quantized(outer, 0.03, 128), shape), 0.03, 128
    )


def float_constant(writer: Writer, value: str) -> str:
    """A product with a float constant."""
    scaled = writer.node("Mul", value, writer.hold(np.float32(0.5)), name="block/Mul")
    return writer.quantized(scaled)


def inputs() -> NDArray[np.float32]:
    """Standard normal [1, C, H, W]."""
    shape = (1, CHANNELS, SIDE, SIDE)
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)

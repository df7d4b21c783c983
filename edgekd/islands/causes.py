"""Why ONNX Runtime found no int8 kernel for an operator of a Q/DQ file: one rule a cause."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from edgekd import graph
from edgekd.graph import Graph
from edgekd.graph import Node
from edgekd.islands import HALF_BYTES

PRODUCTS = {"Conv", "Gemm", "MatMul"}
KERNELS = PRODUCTS | {
    "Add",
    "AveragePool",
    "Concat",
    "GlobalAveragePool",
    "LeakyRelu",
    "Mul",
    "Sigmoid",
    "Softmax",
}
"""Operators that have an int8 kernel of their own."""
FOLDED = {"Relu", "Clip"}
"""Operators that vanish into the QuantizeLinear behind them, if it cuts off where they do."""
PASSING = {"Flatten", "Identity", "MaxPool", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
"""Operators that int8 values go through as they are."""
OPAQUE = "Flatten"
"""The one of them that ONNX Runtime does not look behind for a DequantizeLinear."""
SMALLEST = {"u8": 0, "i8": -128}


class GraphIndex(NamedTuple):
    """A graph with the producer and the readers of each value."""

    graph: Graph
    names: dict[str, Node]
    makers: dict[str, Node]
    readers: dict[str, list[Node]]


def index_graph(read: Graph) -> GraphIndex:
    """Index a graph by names and values."""
    readers: dict[str, list[Node]] = {}
    for node in read.nodes:
        for name in dict.fromkeys(node.inputs):
            readers.setdefault(name, []).append(node)
    makers = {name: node for node in read.nodes for name in node.outputs if name}
    return GraphIndex(read, {node.name: node for node in read.nodes if node.name}, makers, readers)


def is_constant(name: str, read: GraphIndex) -> bool:
    """Return whether a value is made of weights alone."""
    ahead, seen = [name], set[str]()
    while ahead:
        at = ahead.pop()
        if not at or at in read.graph.constants or at in seen:
            continue
        maker = read.makers.get(at)
        if maker is None:
            return False
        seen.add(at)
        ahead += maker.inputs
    return True


def has_quantized_weights(node: Node, read: GraphIndex) -> bool:
    """Return whether a product takes constant weights from a DequantizeLinear."""
    return node.op in PRODUCTS and any(
        is_constant(name, read) and _dequantizer(name, read) is not None for name in node.inputs[:2]
    )


def explain_float(node: Node, read: GraphIndex) -> str:
    """Why a node of the file `read` runs in float; one line, without names of nodes."""
    for rule in RULES:
        told = rule(node, read)
        if told:
            return told
    return f"ONNX Runtime has no int8 kernel for this form of {node.op}"


def _no_kernel(node: Node, read: GraphIndex) -> str:
    if node.op == "BatchNormalization":
        return "BatchNormalization was not folded into the layer before it"
    if node.op not in KERNELS | FOLDED:
        return f"{node.op} has no int8 kernel in ONNX Runtime"
    return ""


def _weights(node: Node, read: GraphIndex) -> str:
    """A product whose own weights are in float: what is around it is not the cause."""
    constants = [name for name in node.inputs[:2] if is_constant(name, read)]
    if node.op not in PRODUCTS or not constants or _dequantizer(constants[0], read) is not None:
        return ""
    return "its weights are not quantized"


def _inputs(node: Node, read: GraphIndex) -> str:
    if node.op in FOLDED:
        return ""
    taken = node.inputs[:2] if node.op in PRODUCTS else node.inputs
    varying = [name for name in taken if name and not is_constant(name, read)]
    floats = [name for name in varying if _dequantizer(name, read) is None]
    if not floats:
        opaque = any(name in read.makers and read.makers[name].op == OPAQUE for name in varying)
        return f"its input is not quantized again behind {OPAQUE}" if opaque else ""
    if len(varying) == 1:
        return "its input is not quantized"
    few = len(floats) < len(varying)
    return "one of its inputs is not quantized" if few else "its inputs are not quantized"


def _constants(node: Node, read: GraphIndex) -> str:
    constants = [name for name in node.inputs[:2] if is_constant(name, read)]
    if node.op not in PRODUCTS | {"Add", "Mul"} or not constants:
        return ""
    dequantizer = _dequantizer(constants[0], read)
    if dequantizer is None:
        return "its constant is not quantized"
    stored = graph.ELEMENTS.get(read.graph.elements.get(dequantizer.inputs[0], 0))
    if stored in HALF_BYTES and node.op in PRODUCTS:
        return "its 4-bit weights are not cast to int8 before DequantizeLinear"
    if node.op == "Gemm" and len(dequantizer.inputs) < 3:
        return "DequantizeLinear of its weights states no zero-point"
    return ""


def _output(node: Node, read: GraphIndex) -> str:
    readers = _readers(node, read)
    if node.op == "MatMul" and len(readers) == 1 and _adds_constant(readers[0], read):
        readers = _readers(readers[0], read)
    if any(reader.op == "BatchNormalization" for reader in readers):
        return "the BatchNormalization behind it was not folded into it"
    if len(readers) == 1 and readers[0].op in FOLDED:
        return _cut_off(readers[0], read) or _unquantized(_readers(readers[0], read))
    told = _unquantized(readers)
    if told and node.op == "Gemm" and len(node.inputs) > 2:
        return f"it has a bias, and {told}"
    return told


def _signed(node: Node, read: GraphIndex) -> str:
    """Signed activations run on x86 only where every pattern around is whole."""
    zeros = [name for reader in _readers(node, read) for name in reader.inputs[2:]]
    if any(graph.ELEMENTS.get(read.graph.elements.get(name, 0)) == "i8" for name in zeros):
        return "its int8 activations meet uint8 ones, which ONNX Runtime makes of them on x86"
    return ""


def _folded(node: Node, read: GraphIndex) -> str:
    if node.op not in FOLDED:
        return ""
    return _cut_off(node, read) or _unquantized(_readers(node, read))


def _cut_off(folded: Node, read: GraphIndex) -> str:
    """Why a Relu or Clip does not vanish into the QuantizeLinear behind it."""
    readers = _readers(folded, read)
    if len(readers) != 1 or readers[0].op != "QuantizeLinear" or len(readers[0].inputs) < 3:
        return ""
    zero = readers[0].inputs[2]
    value = read.graph.constants.get(zero)
    smallest = SMALLEST.get(graph.ELEMENTS.get(read.graph.elements.get(zero, 0), ""))
    if value is None or smallest is None or value == smallest:
        return ""
    return f"{folded.op} could not be folded: the zero-point is {value}, want {smallest}"


def _unquantized(readers: list[Node]) -> str:
    others = sorted({reader.op for reader in readers if reader.op != "QuantizeLinear"})
    if not readers:
        return "its output is not quantized: the model gives it as it is"
    if not others:
        return "" if len(readers) == 1 else "its output is quantized more than once"
    also = " too" if len(others) < len({reader.op for reader in readers}) else ""
    takes = "takes" if len(others) == 1 else "take"
    return f"its output is not quantized: {' and '.join(others)} {takes} it as it is{also}"


def _readers(node: Node, read: GraphIndex) -> list[Node]:
    return [reader for name in node.outputs for reader in read.readers.get(name, [])]


def _adds_constant(node: Node, read: GraphIndex) -> bool:
    return node.op == "Add" and any(is_constant(name, read) for name in node.inputs)


def _dequantizer(name: str, read: GraphIndex) -> Node | None:
    """The DequantizeLinear that gives a value, through what moves it; None without."""
    maker = read.makers.get(name)
    while maker is not None and maker.op in PASSING:
        maker = read.makers.get(maker.inputs[0])
    return maker if maker is not None and maker.op == "DequantizeLinear" else None


RULES: tuple[Callable[[Node, GraphIndex], str], ...] = (
    _no_kernel,
    _folded,
    _weights,
    _inputs,
    _constants,
    _output,
    _signed,
)

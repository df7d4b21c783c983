"""The nodes of an ONNX graph and the element types of its values, read without the onnx package.

Field numbers are those of onnx.proto3 (ONNX 1.23).
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import NamedTuple

from edgekd import files
from edgekd.wire import BYTES
from edgekd.wire import VARINT
from edgekd.wire import Data
from edgekd.wire import fields
from edgekd.wire import varint

ELEMENTS = {
    1: "f32",
    2: "u8",
    3: "i8",
    4: "u16",
    5: "i16",
    6: "i32",
    7: "i64",
    8: "string",
    9: "bool",
    10: "f16",
    11: "f64",
    12: "u32",
    13: "u64",
    16: "bf16",
    21: "u4",
    22: "i4",
}
"""Short names of TensorProto.DataType."""
NUMBERS = {name: number for number, name in ELEMENTS.items()}
BYTE_TYPES = (NUMBERS["u8"], NUMBERS["i8"])

MODEL_GRAPH = 7
NODE, INITIALIZER, INPUTS, OUTPUTS, VALUE_INFOS = 1, 5, 11, 12, 13
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_OP, NODE_ATTRIBUTE = 1, 2, 3, 4, 5
ATTRIBUTE_NAME, ATTRIBUTE_INT = 1, 3
TENSOR_TYPE, TENSOR_INT32S, TENSOR_NAME, TENSOR_RAW = 2, 5, 8, 9
VALUE_NAME, VALUE_TYPE, TYPE_TENSOR, TENSOR_ELEMENT = 1, 2, 1, 1


class Node(NamedTuple):
    """One operator."""

    op: str
    inputs: list[str]
    outputs: list[str]
    cast_to: int
    """The attribute `to`, a data type; 0 where there is none."""
    name: str = ""


class Graph(NamedTuple):
    """The main graph."""

    nodes: list[Node]
    elements: dict[str, int]
    """Data type of each value that states one: initializers, inputs, outputs, value infos."""
    constants: dict[str, int | None]
    """Initializers by name; the value of one that is a single 8-bit number, such as a zero-point."""


def read(path: Path) -> Graph:
    """The main graph of an ONNX file that was admitted, or that an engine wrote.

    Raises:
        InputError: if it is no readable file.
        ValueError: if it is no ONNX model.
    """
    graph = Graph([], {}, {})
    with (
        files.open_regular(path) as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        for number, _, start, end in fields(data, 0, len(data)):
            if number == MODEL_GRAPH:
                _read_graph(data, start, end, graph)
    return graph


def element_types(graph: Graph) -> dict[str, int]:
    """Data type of every value of `graph`; 0 where it cannot be told.

    ONNX Runtime's own operators have no shape inference, so an unknown output is taken to have the
    element type of its node's first input, which holds for all that compute but those named here.
    """
    found = dict(graph.elements)
    for node in graph.nodes:
        for output in node.outputs:
            found.setdefault(output, _given_type(node, found))
    return found


def first_type(node: Node, elements: dict[str, int]) -> int:
    """Data type of a node's first input that has one; 0 without."""
    return next((elements[name] for name in node.inputs if name in elements), 0)


def _given_type(node: Node, elements: dict[str, int]) -> int:
    element = first_type(node, elements)
    if node.op == "QuantizeLinear":
        return elements.get(node.inputs[2], element) if len(node.inputs) > 2 else NUMBERS["u8"]
    if node.op in ("DequantizeLinear", "MatMulIntegerToFloat"):
        scale = 1 if node.op == "DequantizeLinear" else 2
        return elements.get(node.inputs[scale], element)
    if node.op == "QGemm" and not any(node.inputs[7:]):
        return elements.get(node.inputs[1], element)  # without a scale for its output: its input's
    return node.cast_to if node.op == "Cast" and node.cast_to else element


def _read_graph(data: mmap.mmap, start: int, end: int, graph: Graph) -> None:
    for number, _, first, last in fields(data, start, end):
        if number == NODE:
            graph.nodes.append(_node(data, first, last))
        elif number == INITIALIZER:
            name, element, value = _tensor(data, first, last)
            graph.elements[name] = element
            graph.constants[name] = value
        elif number in (INPUTS, OUTPUTS, VALUE_INFOS):
            name, element = _value(data, first, last)
            graph.elements[name] = element


def _node(data: mmap.mmap, start: int, end: int) -> Node:
    op, cast_to, name = "", 0, ""
    inputs: list[str] = []
    outputs: list[str] = []
    for number, _, first, last in fields(data, start, end):
        if number == NODE_INPUT:
            inputs.append(_text(data, first, last))
        elif number == NODE_OUTPUT:
            outputs.append(_text(data, first, last))
        elif number == NODE_NAME:
            name = _text(data, first, last)
        elif number == NODE_OP:
            op = _text(data, first, last)
        elif number == NODE_ATTRIBUTE:
            attribute, value = _attribute(data, first, last)
            cast_to = value if attribute == "to" else cast_to
    return Node(op, inputs, outputs, cast_to, name)


def _attribute(data: mmap.mmap, start: int, end: int) -> tuple[str, int]:
    name, value = "", 0
    for number, wire, first, last in fields(data, start, end):
        if number == ATTRIBUTE_NAME:
            name = _text(data, first, last)
        elif number == ATTRIBUTE_INT and wire == VARINT:
            value = first
    return name, value


def _tensor(data: mmap.mmap, start: int, end: int) -> tuple[str, int, int | None]:
    """An initializer's name, data type, and value if it is a single 8-bit number."""
    name, element, held = "", 0, b""
    for number, wire, first, last in fields(data, start, end):
        if number == TENSOR_NAME:
            name = _text(data, first, last)
        elif number == TENSOR_TYPE and wire == VARINT:
            element = first
        elif number == TENSOR_RAW:
            held = data[first:last] if last - first == 1 else b"more"
        elif number == TENSOR_INT32S:
            held = _small(data, first, last, packed=wire == BYTES)
    if len(held) != 1 or element not in BYTE_TYPES:
        return name, element, None
    return name, element, int.from_bytes(held, signed=element == NUMBERS["i8"])


def _small(data: mmap.mmap, first: int, last: int, *, packed: bool) -> bytes:
    """The lowest byte of a single integer; more than one byte if there are more."""
    if not packed:
        return bytes([first & 0xFF])
    value, end = varint(data, first, last)
    return bytes([value & 0xFF]) if end == last else b"more"


def _value(data: mmap.mmap, start: int, end: int) -> tuple[str, int]:
    name, element = "", 0
    for number, _, first, last in fields(data, start, end):
        if number == VALUE_NAME:
            name = _text(data, first, last)
        elif number == VALUE_TYPE:
            element = _element(data, first, last)
    return name, element


def _element(data: Data, start: int, end: int) -> int:
    for number, _, first, last in fields(data, start, end):
        if number == TYPE_TENSOR:
            for inner, wire, value, _ in fields(data, first, last):
                if inner == TENSOR_ELEMENT and wire == VARINT:
                    return value
    return 0


def _text(data: mmap.mmap, start: int, end: int) -> str:
    return data[start:end].decode(errors="replace")

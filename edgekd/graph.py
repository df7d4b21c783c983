"""The nodes of an ONNX graph, its inputs and its element types, read without the onnx package.

Field numbers are those of onnx.proto3 (ONNX 1.23).
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgekd import files
from edgekd import value_info
from edgekd.value_info import Value
from edgekd.wire import BYTES
from edgekd.wire import VARINT
from edgekd.wire import read_fields
from edgekd.wire import read_varint
from edgekd.wire import unpack_numbers

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

MODEL_GRAPH, MODEL_METADATA = 7, 14
ENTRY_KEY, ENTRY_VALUE = 1, 2
NODE, INITIALIZER, INPUTS, OUTPUTS, VALUE_INFOS = 1, 5, 11, 12, 13
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_OP, NODE_ATTRIBUTE = 1, 2, 3, 4, 5
ATTRIBUTE_NAME, ATTRIBUTE_INT, ATTRIBUTE_TENSOR = 1, 3, 5
TENSOR_DIMS, TENSOR_TYPE, TENSOR_INT32S, TENSOR_NAME, TENSOR_RAW = 1, 2, 5, 8, 9
LONGEST_METADATA = 1000
"""Bytes of a value that are read."""


class Node(NamedTuple):
    """One operator."""

    op: str
    inputs: list[str]
    outputs: list[str]
    cast_to: int
    """The attribute `to`, a data type; 0 where there is none."""
    name: str = ""
    axis: int = 0
    """The attribute `axis`; 0 where there is none."""


class Graph(NamedTuple):
    """The main graph."""

    nodes: list[Node]
    elements: dict[str, int]
    """Data type of each value that states one: initializers, inputs, outputs, value infos."""
    constants: dict[str, int | None]
    """Initializers by name; the value of one that is a single 8-bit number, such as a zero-point."""
    values: Sequence[Value] = ()
    """Inputs, an initializer that stands among them too."""
    outputs: Sequence[Value] = ()
    shapes: Mapping[str, tuple[int, ...]] = {}
    """Of initializers and of what Constant nodes hold."""
    metadata: Mapping[str, str] = {}
    """What the file says of itself, in its maker's words."""

    @property
    def inputs(self) -> list[Value]:
        """What a caller has to supply."""
        return [value for value in self.values if value.name not in self.constants]


def read(path: Path) -> Graph:
    """The main graph of an ONNX file that was admitted, or that an engine wrote.

    Raises:
        InputError: if it is no readable file.
        ValueError: if it is no ONNX model.
    """
    graph = _Reading([], {}, {}, [], [], {}, {})
    with (
        files.open_regular(path) as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        for number, _, start, end in read_fields(data, 0, len(data)):
            if number == MODEL_GRAPH:
                _read_graph(data, start, end, graph)
            elif number == MODEL_METADATA:
                key, value = _entry(data, start, end)
                graph.metadata[key] = value
    return Graph(*graph)


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


class _Reading(NamedTuple):
    """A `Graph` that grows."""

    nodes: list[Node]
    elements: dict[str, int]
    constants: dict[str, int | None]
    values: list[Value]
    outputs: list[Value]
    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str]


def _read_graph(data: mmap.mmap, start: int, end: int, graph: _Reading) -> None:
    for number, _, first, last in read_fields(data, start, end):
        if number == NODE:
            node, held = _node(data, first, last)
            graph.nodes.append(node)
            if node.op == "Constant" and held is not None and node.outputs:
                graph.elements[node.outputs[0]] = held.element
                graph.shapes[node.outputs[0]] = held.shape
        elif number == INITIALIZER:
            tensor = _tensor(data, first, last)
            graph.elements[tensor.name] = tensor.element
            graph.constants[tensor.name] = tensor.value
            graph.shapes[tensor.name] = tensor.shape
        elif number in (INPUTS, OUTPUTS, VALUE_INFOS):
            value = value_info.read(data, first, last)
            graph.elements[value.name] = value.element
            if number == INPUTS:
                graph.values.append(value)
            elif number == OUTPUTS:
                graph.outputs.append(value)


class _Tensor(NamedTuple):
    name: str
    element: int
    shape: tuple[int, ...]
    value: int | None
    """If it is a single 8-bit number."""


def _node(data: mmap.mmap, start: int, end: int) -> tuple[Node, _Tensor | None]:
    """A node and the tensor that is its attribute, if one is."""
    op, cast_to, axis, name = "", 0, 0, ""
    held: _Tensor | None = None
    inputs: list[str] = []
    outputs: list[str] = []
    for number, _, first, last in read_fields(data, start, end):
        if number == NODE_INPUT:
            inputs.append(_text(data, first, last))
        elif number == NODE_OUTPUT:
            outputs.append(_text(data, first, last))
        elif number == NODE_NAME:
            name = _text(data, first, last)
        elif number == NODE_OP:
            op = _text(data, first, last)
        elif number == NODE_ATTRIBUTE:
            attribute, value, tensor = _attribute(data, first, last)
            cast_to = value if attribute == "to" else cast_to
            axis = _signed(value) if attribute == "axis" else axis
            held = tensor or held
    return Node(op, inputs, outputs, cast_to, name, axis), held


def _attribute(data: mmap.mmap, start: int, end: int) -> tuple[str, int, _Tensor | None]:
    name, value, tensor = "", 0, None
    for number, wire, first, last in read_fields(data, start, end):
        if number == ATTRIBUTE_NAME:
            name = _text(data, first, last)
        elif number == ATTRIBUTE_INT and wire == VARINT:
            value = first
        elif number == ATTRIBUTE_TENSOR and wire == BYTES:
            tensor = _tensor(data, first, last)
    return name, value, tensor


def _signed(value: int) -> int:
    """A varint as the 64-bit number with a sign that it stands for."""
    return value - 2**64 if value >= 2**63 else value


def _tensor(data: mmap.mmap, start: int, end: int) -> _Tensor:
    name, element, held = "", 0, b""
    shape: list[int] = []
    for number, wire, first, last in read_fields(data, start, end):
        if number == TENSOR_NAME:
            name = _text(data, first, last)
        elif number == TENSOR_TYPE and wire == VARINT:
            element = first
        elif number == TENSOR_DIMS:
            shape += [first] if wire == VARINT else unpack_numbers(data, first, last)
        elif number == TENSOR_RAW:
            held = data[first:last] if last - first == 1 else b"more"
        elif number == TENSOR_INT32S:
            held = _small(data, first, last, packed=wire == BYTES)
    value = None
    if len(held) == 1 and element in BYTE_TYPES:
        value = int.from_bytes(held, signed=element == NUMBERS["i8"])
    return _Tensor(name, element, tuple(shape), value)


def _small(data: mmap.mmap, first: int, last: int, *, packed: bool) -> bytes:
    """The lowest byte of a single integer; more than one byte if there are more."""
    if not packed:
        return bytes([first & 0xFF])
    value, end = read_varint(data, first, last)
    return bytes([value & 0xFF]) if end == last else b"more"


def _entry(data: mmap.mmap, start: int, end: int) -> tuple[str, str]:
    key = value = ""
    for number, _, first, last in read_fields(data, start, end):
        if number == ENTRY_KEY:
            key = _text(data, first, last)
        elif number == ENTRY_VALUE:
            value = _text(data, first, min(last, first + LONGEST_METADATA))
    return key, value


def _text(data: mmap.mmap, start: int, end: int) -> str:
    return data[start:end].decode(errors="replace")

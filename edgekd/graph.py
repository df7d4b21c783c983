"""The nodes of an ONNX graph and the element types of its values, read without the onnx package.

Field numbers are those of onnx.proto3 (ONNX 1.23).
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import NamedTuple

from edgekd import files
from edgekd.wire import VARINT
from edgekd.wire import Data
from edgekd.wire import fields

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

MODEL_GRAPH = 7
NODE, INITIALIZER, VALUES = 1, 5, (11, 12, 13)
NODE_INPUT, NODE_OUTPUT, NODE_OP, NODE_ATTRIBUTE = 1, 2, 4, 5
ATTRIBUTE_NAME, ATTRIBUTE_INT = 1, 3
TENSOR_TYPE, TENSOR_NAME = 2, 8
VALUE_NAME, VALUE_TYPE, TYPE_TENSOR, TENSOR_ELEMENT = 1, 2, 1, 1


class Node(NamedTuple):
    """One operator."""

    op: str
    inputs: list[str]
    outputs: list[str]
    cast_to: int
    """The attribute `to`, a data type; 0 where there is none."""


class Graph(NamedTuple):
    """The main graph."""

    nodes: list[Node]
    elements: dict[str, int]
    """Data type of each value that states one: initializers, inputs, outputs, value infos."""


def read(path: Path) -> Graph:
    """The main graph of an ONNX file that an engine wrote.

    Raises:
        InputError: if it is no readable file.
        ValueError: if it is no ONNX model.
    """
    graph = Graph([], {})
    with (
        files.open_regular(path) as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        for number, _, start, end in fields(data, 0, len(data)):
            if number == MODEL_GRAPH:
                _read_graph(data, start, end, graph)
    return graph


def _read_graph(data: mmap.mmap, start: int, end: int, graph: Graph) -> None:
    for number, _, first, last in fields(data, start, end):
        if number == NODE:
            graph.nodes.append(_node(data, first, last))
        elif number == INITIALIZER:
            name, element = _named(data, first, last, TENSOR_NAME, TENSOR_TYPE)
            graph.elements[name] = element
        elif number in VALUES:
            name, element = _value(data, first, last)
            graph.elements[name] = element


def _node(data: mmap.mmap, start: int, end: int) -> Node:
    op, cast_to = "", 0
    inputs: list[str] = []
    outputs: list[str] = []
    for number, _, first, last in fields(data, start, end):
        if number == NODE_INPUT:
            inputs.append(_text(data, first, last))
        elif number == NODE_OUTPUT:
            outputs.append(_text(data, first, last))
        elif number == NODE_OP:
            op = _text(data, first, last)
        elif number == NODE_ATTRIBUTE:
            name, value = _named(data, first, last, ATTRIBUTE_NAME, ATTRIBUTE_INT)
            cast_to = value if name == "to" else cast_to
    return Node(op, inputs, outputs, cast_to)


def _named(data: mmap.mmap, start: int, end: int, name_at: int, value_at: int) -> tuple[str, int]:
    """A message's name and one of its numbers."""
    name, value = "", 0
    for number, wire, first, last in fields(data, start, end):
        if number == name_at:
            name = _text(data, first, last)
        elif number == value_at and wire == VARINT:
            value = first
    return name, value


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

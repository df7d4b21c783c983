"""An input or output of an ONNX graph: its name, element type and the sizes of its axes.

Field numbers are those of onnx.proto3 (ONNX 1.23).
"""

from __future__ import annotations

import mmap
from typing import NamedTuple

from edgekd.wire import BYTES
from edgekd.wire import VARINT
from edgekd.wire import read_fields

NAME, TYPE, TYPE_TENSOR, TENSOR_ELEMENT, TENSOR_SHAPE = 1, 2, 1, 1, 2
DIM_SIZE, DIM_NAME = 1, 2
Bytes = bytes | mmap.mmap


class Value(NamedTuple):
    """An input or output of the main graph."""

    name: str
    element: int
    """Data type; 0 of what is no tensor (a sequence, an optional)."""
    sizes: tuple[int | str | None, ...] | None
    """Of each axis: a number, the name of a free one, or None for a free one without a name; None in
    place of all where not even the rank is stated."""


def read(data: Bytes, start: int, end: int) -> Value:
    """The `ValueInfoProto` that lies in ``data[start:end]``.

    Raises:
        ValueError: if the bytes are none.
    """
    value = Value("", 0, None)
    for number, _, first, last in read_fields(data, start, end):
        if number == NAME:
            value = value._replace(name=data[first:last].decode(errors="replace"))
        elif number == TYPE:
            element, sizes = _type(data, first, last)
            value = value._replace(element=element, sizes=sizes)
    return value


def _type(data: Bytes, start: int, end: int) -> tuple[int, tuple[int | str | None, ...] | None]:
    """A tensor's data type and the sizes of its axes, as `Value` has them."""
    element, sizes = 0, None
    for number, _, first, last in read_fields(data, start, end):
        if number == TYPE_TENSOR:
            for inner, wire, begin, stop in read_fields(data, first, last):
                if inner == TENSOR_ELEMENT and wire == VARINT:
                    element = begin
                elif inner == TENSOR_SHAPE and wire == BYTES:
                    dims = read_fields(data, begin, stop)
                    sizes = tuple(_size(data, f.start, f.end) for f in dims if f.wire == BYTES)
    return element, sizes


def _size(data: Bytes, start: int, end: int) -> int | str | None:
    """A negative one is the way of some exporters to say that it is free."""
    found: int | str | None = None
    for number, wire, first, last in read_fields(data, start, end):
        if number == DIM_SIZE and wire == VARINT:
            found = first if first < 2**63 else None
        elif number == DIM_NAME and wire == BYTES:
            found = data[first:last].decode(errors="replace") or None
    return found

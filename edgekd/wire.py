"""Protobuf's wire format, read by a walk of its bytes: enough to look into an ONNX file.

Needs neither the onnx package nor protobuf, skips what is not asked for by its length, and holds on
to nothing: what a board or a check before an engine's own parser can afford.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from typing import Protocol

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
SIZES = {FIXED64: 8, FIXED32: 4}
LARGEST_TAG = 2**32 - 1
"""A parser in C++ cuts a longer one down to 32 bits and so sees another field than we do."""


class Data(Protocol):
    """bytes, or a mapped file."""

    def __getitem__(self, index: int) -> int:
        """One byte."""


class WireField(NamedTuple):
    """One field of a message."""

    number: int
    wire: int
    start: int
    """Of its content; of a varint, its value."""
    end: int


def read_fields(data: Data, start: int, end: int) -> Iterator[WireField]:
    """The fields of the message that lies in ``data[start:end]``, in order.

    Raises:
        ValueError: if the bytes are no message, or the message is cut short.
    """
    at = start
    while at < end:
        tag, at = read_varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if number == 0 or tag > LARGEST_TAG:
            raise ValueError("got bytes that are no protobuf, want an ONNX model")
        if wire == VARINT:
            value, at = read_varint(data, at, end)
            yield WireField(number, wire, value, at)
            continue
        if wire == BYTES:
            size, at = read_varint(data, at, end)
        elif wire in SIZES:
            size = SIZES[wire]
        else:
            raise ValueError("got bytes that are no protobuf, want an ONNX model")
        if size > end - at:
            raise ValueError("got a truncated file, want an ONNX model")
        yield WireField(number, wire, at, at + size)
        at += size


def read_varint(data: Data, at: int, end: int) -> tuple[int, int]:
    """A number of up to ten bytes, and where it ends.

    Raises:
        ValueError: if it is cut short or longer.
    """
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise ValueError("got a truncated file, want an ONNX model")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("got bytes that are no protobuf, want an ONNX model")


def encode_varint(value: int) -> bytes:
    """A whole number of up to 64 bits as protobuf writes it."""
    data = bytearray()
    while value >= 0x80:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*data, value])


def unpack_numbers(data: Data, at: int, end: int) -> list[int]:
    """The numbers of a repeated field that is written as one.

    Raises:
        ValueError: if one is cut short or longer than ten bytes.
    """
    found = []
    while at < end:
        value, at = read_varint(data, at, end)
        found.append(value)
    return found

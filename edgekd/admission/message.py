"""ONNX's messages as protobuf reads them: what a field says in several pieces is one message.

A parser merges a message that stands twice: lists are joined, of a text or a number the last counts. A
walk that looked at each piece alone would let through what only the whole breaks. Field numbers are those
of onnx.proto3 (ONNX 1.23).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import NamedTuple

from edgekd.wire import BYTES
from edgekd.wire import VARINT
from edgekd.wire import WireField
from edgekd.wire import read_fields
from edgekd.wire import read_varint

MAX_DEPTH = 32
"""Of messages inside messages; a subgraph is three deeper than its graph."""
MAX_FIELDS = 5_000_000
MAX_NAME_BYTES = 2**14

GRAPH_INPUT, GRAPH_OUTPUT = 11, 12
NODE_INPUT, NODE_OUTPUT = 1, 2
NODE_KEY = (7, 4, 8)
"""Domain, operator, overload."""
FUNCTION_OUTPUT = 5
FUNCTION_KEY = (10, 1, 13)
"""Domain, name, overload."""
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_RAW = 1, 2, 8, 9
TENSOR_EXTERNAL, TENSOR_LOCATION = 13, 14
SPARSE_VALUES, SPARSE_DIMS = 1, 3
ATTRIBUTE_NAME, ATTRIBUTE_INT = 1, 3
VALUE_NAME = 1
GIVES = {"node": NODE_OUTPUT, "tensor": TENSOR_NAME, "value": VALUE_NAME}
"""The field with the names that a message defines in its graph."""

Spans = tuple[tuple[int, int], ...]
"""Where the pieces of one message lie."""
ONE, MANY = False, True

CHILDREN: dict[str, dict[int, tuple[str, bool]]] = {
    "model": {7: ("graph", ONE), 20: ("training", MANY), 25: ("function", MANY)},
    "training": {1: ("graph", ONE), 2: ("graph", ONE)},
    "graph": {
        1: ("node", MANY),
        5: ("tensor", MANY),
        15: ("sparse", MANY),
        11: ("value", MANY),
        12: ("value", MANY),
        13: ("value", MANY),
    },
    "node": {5: ("attribute", MANY)},
    "attribute": {
        5: ("tensor", ONE),
        6: ("graph", ONE),
        10: ("tensor", MANY),
        11: ("graph", MANY),
        14: ("type", ONE),
        15: ("type", MANY),
        22: ("sparse", ONE),
        23: ("sparse", MANY),
    },
    "sparse": {1: ("tensor", ONE), 2: ("tensor", ONE)},
    "tensor": {13: ("pair", MANY)},
    "function": {7: ("node", MANY), 11: ("attribute", MANY), 12: ("value", MANY)},
    "value": {2: ("type", ONE)},
    "type": {4: ("nested type", ONE), 5: ("map type", ONE), 9: ("nested type", ONE)},
    "nested type": {1: ("type", ONE)},
    "map type": {2: ("type", ONE)},
    "pair": {},
}
"""Message to the fields that hold messages: of which kind, and whether each piece is one of its own."""
TEXTS = {
    "node": {NODE_INPUT, NODE_OUTPUT, *NODE_KEY},
    "attribute": {ATTRIBUTE_NAME},
    "function": {FUNCTION_OUTPUT, *FUNCTION_KEY},
    "tensor": {TENSOR_NAME},
    "value": {VALUE_NAME},
    "pair": {1, 2},
}
NUMBERS = {
    "attribute": {ATTRIBUTE_INT: ONE},
    "tensor": {TENSOR_DIMS: MANY, TENSOR_TYPE: ONE, TENSOR_LOCATION: ONE},
    "sparse": {SPARSE_DIMS: MANY},
}
"""Message to the fields that hold numbers: a list, which may be packed into one piece, or a single one."""


class Child(NamedTuple):
    """One message inside another."""

    number: int
    """Of the field that holds it."""
    kind: str
    spans: Spans


class Message(NamedTuple):
    """What one message says, all of its pieces together."""

    size_bytes: int
    children: list[Child]
    texts: dict[int, list[bytes]]
    numbers: dict[int, list[int]]

    def text(self, number: int) -> bytes:
        """The text that counts where it stands more than once: the last."""
        return self.texts.get(number, [b""])[-1]


class Reader:
    """A mapped file, and how many of its fields may still be read."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self._left = MAX_FIELDS

    def fields(self, spans: Spans) -> Iterator[WireField]:
        """The fields of a message, piece after piece.

        Raises:
            ValueError: if the bytes are no message, or there are too many fields.
        """
        for start, end in spans:
            for field in read_fields(self.data, start, end):
                self._left -= 1
                if self._left < 0:
                    raise ValueError("got a file split beyond reason")
                yield field

    def message(self, child: Child, depth: int) -> Message:
        """Return what `child` says, as protobuf reads it; other fields than those named above are skipped.

        Raises:
            ValueError: if the bytes are no message, it lies too deep or a name is too long.
        """
        if depth > MAX_DEPTH:
            raise ValueError("got a graph nested beyond reason")
        kind, spans = child.kind, child.spans
        children, texts, numbers = CHILDREN[kind], TEXTS.get(kind, ()), NUMBERS.get(kind, {})
        found = Message(sum(end - start for start, end in spans), [], {}, {})
        merged: dict[int, list[tuple[int, int]]] = {}
        for number, wire, start, end in self.fields(spans):
            if wire == BYTES and number in children:
                if children[number][1] is MANY:
                    found.children.append(Child(number, children[number][0], ((start, end),)))
                else:
                    merged.setdefault(number, []).append((start, end))
            elif wire == BYTES and number in texts:
                found.texts.setdefault(number, []).append(self._name(start, end))
            elif wire == VARINT and number in numbers:
                found.numbers.setdefault(number, []).append(start)
            elif wire == BYTES and numbers.get(number) is MANY:
                found.numbers.setdefault(number, []).extend(self._packed(start, end))
        for number, pieces in merged.items():
            found.children.append(Child(number, children[number][0], tuple(pieces)))
        return found

    def _name(self, start: int, end: int) -> bytes:
        if end - start > MAX_NAME_BYTES:
            raise ValueError(f"got a name of {end - start} bytes, want {MAX_NAME_BYTES} at most")
        return self.data[start:end]

    def _packed(self, at: int, end: int) -> Iterator[int]:
        while at < end:
            value, at = read_varint(self.data, at, end)
            self._left -= 1
            if self._left < 0:
                raise ValueError("got a file split beyond reason")
            yield value

"""Whether a foreign ONNX file may be handed to an engine: structure only, by a walk of its bytes.

An engine's parser is native code that follows what the file says, so what it says is looked at
first: no data outside the file, no operators or functions of unknown domains, a sane size. The walk
needs neither the onnx package nor protobuf and skips weights by their length. Field numbers are
those of onnx.proto3 (ONNX 1.23).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edgekd import files

MAX_BYTES = 2**31 - 1
"""protobuf's own limit for one message."""
MAX_DEPTH = 32
MAX_MESSAGES = 5_000_000
DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "org.openvinotoolkit"}
"""Operator domains whose operators the engines bring themselves."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
CHILDREN = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute", 7: "operator domain"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
    "function": {7: "node", 10: "function domain", 11: "attribute"},
}
"""Message to the fields of it that are walked, each with the message it holds."""
LEAVES = {"operator domain", "function domain", "external"}


class _Walk(NamedTuple):
    data: mmap.mmap
    where: str
    found: dict[str, set[str]]
    """What the leaves hold."""
    budget: list[int]
    """How many more messages may be opened."""


def admit(path: Path) -> None:
    """Nothing, if the file may be loaded.

    Raises:
        InputError: if it is no readable regular file.
        ValueError: ``WHERE: got X, want Y`` for anything an engine should not be shown.
    """
    with files.open_regular(path) as file:
        size_bytes = file.seek(0, 2)
        if not 0 < size_bytes <= MAX_BYTES:
            raise ValueError(f"{path}: got {size_bytes} bytes, want 1 to {MAX_BYTES}")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            walk = _Walk(data, str(path), {leaf: set() for leaf in LEAVES}, [MAX_MESSAGES])
            if not _walk(walk, "model", 0, size_bytes, 0):
                raise ValueError(f"{path}: got a file without a graph, want an ONNX model")
    unknown = walk.found["operator domain"] - walk.found["function domain"] - DOMAINS
    if unknown:
        raise ValueError(f"{path}: got operators of {sorted(unknown)[:3]}, want ONNX's own")
    if walk.found["external"]:
        raise ValueError(f"{path}: got weights kept in another file, want one file that holds all")


def _walk(walk: _Walk, message: str, start: int, end: int, depth: int) -> bool:
    """Walk one message; whether it holds a graph."""
    walk.budget[0] -= 1
    if depth > MAX_DEPTH or walk.budget[0] < 0:
        raise ValueError(f"{walk.where}: got a graph nested or split beyond reason")
    has_graph = False
    for field, first, last in _fields(walk, start, end):
        kind = CHILDREN[message].get(field)
        has_graph |= kind == "graph"
        if kind in LEAVES:
            walk.found[kind].add(walk.data[first : min(last, first + 200)].decode(errors="replace"))
        elif kind is not None:
            _walk(walk, kind, first, last, depth + 1)
    return has_graph


def _fields(walk: _Walk, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Field number, first and last byte of every length-delimited field of a message."""
    at = start
    while at < end:
        tag, at = _varint(walk, at, end)
        field, wire = tag >> 3, tag & 7
        if wire == BYTES:
            length, at = _varint(walk, at, end)
            if length > end - at:
                raise ValueError(f"{walk.where}: got a truncated file, want an ONNX model")
            yield field, at, at + length
            at += length
        elif wire == VARINT:
            _, at = _varint(walk, at, end)
        elif wire in (FIXED32, FIXED64):
            at += 4 if wire == FIXED32 else 8
        else:
            raise ValueError(f"{walk.where}: got bytes that are no protobuf, want an ONNX model")
    if at != end:
        raise ValueError(f"{walk.where}: got a truncated file, want an ONNX model")


def _varint(walk: _Walk, at: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            raise ValueError(f"{walk.where}: got a truncated file, want an ONNX model")
        byte = walk.data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError(f"{walk.where}: got bytes that are no protobuf, want an ONNX model")

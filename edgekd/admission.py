"""Whether a foreign ONNX file may be handed to an engine: structure only, by a walk of its bytes.

An engine's parser is native code that follows what the file says, so what it says is looked at
first: no data outside the file or at an address in memory, no operators or functions of unknown
domains, no nodes that carry another engine's program or wait for each other, no weight that claims more elements than it has
bytes for, a sane size. The walk needs neither the onnx package nor protobuf and skips weights by their
length. Field numbers are those of onnx.proto3 (ONNX 1.23).
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgekd import files
from edgekd.wire import BYTES
from edgekd.wire import VARINT
from edgekd.wire import fields
from edgekd.wire import varint

MAX_BYTES = 2**31 - 1
"""protobuf's own limit for one message."""
MAX_DEPTH = 32
MAX_FIELDS = 20_000_000
DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "org.openvinotoolkit"}
"""Operator domains whose operators the engines bring themselves."""
CARRIERS = {"EPContext"}
"""Operators that hold, or name a file that holds, a program compiled for some processor."""
ELEMENTS_PER_BYTE = 8
"""More than any element type packs into one."""
MAX_DIMS = 64
NODES = {"graph": 1, "function": 7}
"""Messages whose nodes are run in order, and the field that holds them."""
NODE_INPUT, NODE_OUTPUT = 1, 2
TENSOR_DIMS, TENSOR_LOCATION = 1, 14

CHILDREN = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {4: "operator", 5: "attribute", 7: "operator domain"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
    "function": {7: "node", 10: "function domain", 11: "attribute"},
}
"""Message to the fields of it that are walked, each with the message it holds."""
LEAVES = {"operator", "operator domain", "function domain", "external"}


class _Walk(NamedTuple):
    data: mmap.mmap
    found: dict[str, set[str]]
    """What the leaves hold."""
    budget: list[int]
    """How many more fields may be read."""


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
            walk = _Walk(data, {leaf: set() for leaf in LEAVES}, [MAX_FIELDS])
            try:
                has_graph = _walk(walk, "model", 0, size_bytes, 0)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
            if not has_graph:
                raise ValueError(f"{path}: got a file without a graph, want an ONNX model")
    try:
        _judge(walk.found)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _judge(found: Mapping[str, set[str]]) -> None:
    """Nothing, if what the leaves hold may be loaded."""
    unknown = found["operator domain"] - found["function domain"] - DOMAINS
    if unknown:
        raise ValueError(f"got operators of {sorted(unknown)[:3]}, want ONNX's own")
    carriers = found["operator"] & CARRIERS
    if carriers:
        raise ValueError(f"got {carriers.pop()}, another engine's program, want ONNX's operators")
    if found["external"]:
        raise ValueError("got weights kept in another file, want one file that holds all")


def _walk(walk: _Walk, message: str, start: int, end: int, depth: int) -> bool:
    """Walk one message; whether it holds a graph."""
    if depth > MAX_DEPTH:
        raise ValueError("got a graph nested beyond reason")
    has_graph = False
    dims: list[int] = []
    for number, wire, first, last in fields(walk.data, start, end):
        walk.budget[0] -= 1
        if walk.budget[0] < 0:
            raise ValueError("got a file split beyond reason")
        kind = CHILDREN[message].get(number) if wire == BYTES else None
        has_graph |= kind == "graph"
        if kind in LEAVES:
            walk.found[kind].add(walk.data[first : min(last, first + 200)].decode(errors="replace"))
        elif kind is not None:
            _walk(walk, kind, first, last, depth + 1)
        elif message == "tensor" and number == TENSOR_DIMS:
            dims += [first] if wire == VARINT else _packed(walk, first, last)
            if len(dims) > MAX_DIMS:
                raise ValueError(f"got a weight of {len(dims)} dimensions or more")
        elif message == "tensor" and number == TENSOR_LOCATION and first:
            walk.found["external"].add("")
    if math.prod(dims) > ELEMENTS_PER_BYTE * (end - start):
        raise ValueError(f"got a weight of {dims[:8]} elements in {end - start} bytes")
    if message in NODES:
        _want_order(walk.data, NODES[message], start, end)
    return has_graph


def _want_order(data: mmap.mmap, field: int, start: int, end: int) -> None:
    """Nothing, if the nodes can be run one after the other; OpenVINO never ends on those that cannot."""
    waits: list[set[bytes]] = []
    gives: list[set[bytes]] = []
    for number, wire, first, last in fields(data, start, end):
        if number == field and wire == BYTES:
            named: dict[int, set[bytes]] = {NODE_INPUT: set(), NODE_OUTPUT: set()}
            for inner, kind, begin, stop in fields(data, first, last):
                if inner in named and kind == BYTES and stop > begin:
                    named[inner].add(data[begin:stop])
            waits.append(named[NODE_INPUT])
            gives.append(named[NODE_OUTPUT])
    if cyclic(waits, gives):
        raise ValueError("got nodes that wait for each other, want a graph without a cycle")


def cyclic(waits: Sequence[set[bytes]], gives: Sequence[set[bytes]]) -> bool:
    """Whether some nodes never run, because each waits for what another of them gives.

    Args:
        waits: by node the names it reads; those that no node gives are there from the start.
        gives: by node the names it writes.
    """
    inner = set().union(*gives) if gives else set()
    left = [len(names & inner) for names in waits]
    readers: dict[bytes, list[int]] = {}
    for node, names in enumerate(waits):
        for name in names & inner:
            readers.setdefault(name, []).append(node)
    free = [node for node, count in enumerate(left) if count == 0]
    done, given = 0, set[bytes]()
    while free:
        done += 1
        for name in gives[free.pop()] - given:
            given.add(name)
            for reader in readers.get(name, ()):
                left[reader] -= 1
                if left[reader] == 0:
                    free.append(reader)
    return done < len(waits)


def _packed(walk: _Walk, at: int, end: int) -> list[int]:
    found = []
    while at < end:
        value, at = varint(walk.data, at, end)
        found.append(value)
    return found

"""Whether a foreign ONNX file may be handed to an engine: structure only, by a walk of its bytes.

An engine's parser is native code that follows what the file says, so what it says is looked at
first: no data outside the file or at an address in memory, no operators of unknown domains, no nodes
that carry another engine's program or wait for each other, no functions that grow beyond measure where
they are called, no weight that claims more elements than it has bytes for, a sane size. The walk needs
neither the onnx package nor protobuf, skips weights by their length, and sees each message as a parser
does (`message.py`). A file whose weights lie beside it is made one first (`external_data.py`).
"""

from __future__ import annotations

import math
import mmap
from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgekd import files
from edgekd.admission import functions
from edgekd.admission import message as fields
from edgekd.admission.functions import Body
from edgekd.admission.functions import Key
from edgekd.admission.message import Child
from edgekd.admission.message import Message
from edgekd.admission.message import Reader
from edgekd.admission.order import has_cycle

MAX_BYTES = 2**31 - 1
"""protobuf's own limit for one message."""
DOMAINS = {b"", b"ai.onnx.ml", b"com.microsoft", b"org.openvinotoolkit"}
"""Operator domains whose operators the engines bring themselves; ``ai.onnx`` is the empty one."""
CARRIERS = {b"EPContext"}
"""Operators that hold, or name a file that holds, a program compiled for some processor."""
ELEMENTS_PER_BYTE = 8
"""More than any element type packs into one."""
MAX_DIMS = 64
MAX_ELEMENTS = 2**63 - 1
MAX_DENSE = 2**28
"""Elements of all sparse weights together, zeros too: engines write them out."""


class Scope(NamedTuple):
    """What a message means to the graph around it."""

    reads: set[bytes]
    """Names it takes from there."""
    gives: list[bytes]
    """Names it defines there: a node's outputs; the own name of a weight or value."""


def admit(path: Path) -> None:
    """Look at a file that holds all of its weights.

    Raises:
        InputError: if it is no readable regular file.
        ValueError: ``WHERE: got X, want Y`` for anything an engine should not be shown.
    """
    if examine(path):
        raise ValueError(f"{path}: got weights kept in another file, want one file that holds all")


def examine(path: Path) -> bool:
    """Hold a file to every rule but that; whether it has weights that lie in another one.

    Raises:
        InputError: if it is no readable regular file.
        ValueError: as `admit`.
    """
    with files.open_regular(path) as file:
        size_bytes = file.seek(0, 2)
        if not 0 < size_bytes <= MAX_BYTES:
            raise ValueError(f"{path}: got {size_bytes} bytes, want 1 to {MAX_BYTES}")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            walk = _Walk(Reader(data))
            try:
                walk.model(Child(0, "model", ((0, size_bytes),)))
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
    return walk.external


class _Walk:
    """One look at a whole file."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._operators: Body = Counter()
        """Of the function, or else the graphs, that are being looked at."""
        self._count = 0
        """Nodes so far."""
        self._dense = 0
        self.external = False

    def model(self, child: Child) -> None:
        """Look at everything that a file holds."""
        model = self._reader.message(child, 0)
        known: dict[Key, Body] = {}
        for inner in model.children:
            if inner.kind == "function":
                message = self._reader.message(inner, 1)
                name = functions.function_key(*map(message.text, fields.FUNCTION_KEY))
                self._operators = known.setdefault(name, Counter())
                self._nodes(message, 1)
        main: Body = Counter()
        self._operators = main
        for inner in model.children:
            if inner.kind != "function":
                self._scope(inner, 1)
        if not any(inner.kind == "graph" for inner in model.children):
            raise ValueError("got a file without a graph, want an ONNX model")
        require_known({name for body in (main, *known.values()) for name in body}, known)
        functions.require_small(main, known)

    def _scope(self, child: Child, depth: int) -> Scope:
        message = self._reader.message(child, depth)
        if child.kind == "graph":
            return self._nodes(message, depth)
        if child.kind == "tensor":
            self._tensor(message)
        elif child.kind == "sparse":
            self._sparse(message)
        gives = message.texts.get(fields.GIVES.get(child.kind, 0), [])
        reads = {name for name in message.texts.get(fields.NODE_INPUT, ()) if child.kind == "node"}
        for inner in message.children:
            scope = self._scope(inner, depth + 1)
            reads |= scope.reads
            if (child.kind, inner.number) == ("sparse", fields.SPARSE_VALUES):
                gives = scope.gives
        if child.kind == "node":
            self._count += 1
            if self._count > functions.MAX_NODES:
                raise ValueError(f"got more than {functions.MAX_NODES} nodes, want less")
            self._operators[functions.function_key(*map(message.text, fields.NODE_KEY))] += 1
        return Scope(reads - {b""}, [name for name in gives if name])

    def _nodes(self, message: Message, depth: int) -> Scope:
        """A graph or a function: its nodes can be run in some order, and give each name once.

        OpenVINO never ends on those that cannot.
        """
        waits: list[set[bytes]] = []
        gives: list[list[bytes]] = []
        local: set[bytes] = set()
        reads: set[bytes] = set()
        for child in message.children:
            scope = self._scope(child, depth + 1)
            reads |= scope.reads
            if child.kind == "node":
                waits.append(scope.reads)
                gives.append(scope.gives)
            elif child.kind != "value" or child.number == fields.GRAPH_INPUT:
                local |= set(scope.gives)
            elif child.number == fields.GRAPH_OUTPUT:
                reads |= set(scope.gives)
        given = Counter(name for names in gives for name in names)
        twice = [name for name, count in given.items() if count > 1]
        if twice:
            raise ValueError(f"got {twice[0]!r:.60} from two nodes, want each name given once")
        if has_cycle(waits, [set(names) for names in gives]):
            raise ValueError("got nodes that wait for each other, want a graph without a cycle")
        return Scope(reads - local - given.keys(), [])

    def _tensor(self, message: Message) -> None:
        elements = elements_of(message.numbers.get(fields.TENSOR_DIMS, []))
        located = any(message.numbers.get(fields.TENSOR_LOCATION, ()))
        if located or any(inner.number == fields.TENSOR_EXTERNAL for inner in message.children):
            self.external = True
        elif elements > ELEMENTS_PER_BYTE * message.size_bytes:
            raise ValueError(f"got a weight of {elements} elements in {message.size_bytes} bytes")

    def _sparse(self, message: Message) -> None:
        self._dense += elements_of(message.numbers.get(fields.SPARSE_DIMS, []))
        if self._dense > MAX_DENSE:
            raise ValueError(
                f"got sparse weights of {self._dense} elements, want {MAX_DENSE} at most"
            )


def elements_of(dims: Sequence[int]) -> int:
    """Return how many elements a weight of these dimensions has.

    Raises:
        ValueError: if there are too many dimensions, or their product is beyond 63 bits, a 0 left out:
            an engine may multiply in any order.
    """
    if len(dims) > MAX_DIMS:
        raise ValueError(f"got a weight of {len(dims)} dimensions, want {MAX_DIMS} at most")
    if math.prod(filter(None, dims)) > MAX_ELEMENTS:
        raise ValueError(f"got a weight of {list(dims[:8])} elements, want {MAX_ELEMENTS} at most")
    return math.prod(dims)


def require_known(operators: set[Key], defined: Mapping[Key, Body]) -> None:
    """Hold operators to those that the engines bring or the file itself defines.

    Raises:
        ValueError: naming the domains of others, or one that carries another engine's program.
    """
    unknown = {name[0] for name in operators - defined.keys()} - DOMAINS
    if unknown:
        domains = sorted(domain.decode(errors="replace") for domain in unknown)
        raise ValueError(f"got operators of {domains[:3]}, want ONNX's own")
    carriers = {name for _, name, _ in operators} & CARRIERS
    if carriers:
        raise ValueError(
            f"got {carriers.pop().decode()}, another engine's program, want ONNX's operators"
        )

"""In which numbers an ONNX graph computes, as its file tells: what a measured row may be called."""

from __future__ import annotations

import math
import mmap
from collections import Counter
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgekd import files
from edgekd.admission.message import ATTRIBUTE_INT
from edgekd.admission.message import ATTRIBUTE_NAME
from edgekd.admission.message import FUNCTION_KEY
from edgekd.admission.message import FUNCTION_OUTPUT
from edgekd.admission.message import GRAPH_INPUT
from edgekd.admission.message import GRAPH_OUTPUT
from edgekd.admission.message import NODE_INPUT
from edgekd.admission.message import NODE_KEY
from edgekd.admission.message import NODE_OUTPUT
from edgekd.admission.message import TENSOR_DIMS
from edgekd.admission.message import TENSOR_NAME
from edgekd.admission.message import TENSOR_TYPE
from edgekd.admission.message import VALUE_NAME
from edgekd.admission.message import Child
from edgekd.admission.message import Message
from edgekd.admission.message import Reader
from edgekd.errors import InputError
from edgekd.graph import ELEMENTS
from edgekd.profile import QUANTIZED
from edgekd.profile import stored_precision
from edgekd.runtimes import find_entry
from edgekd.value_info import Value

NAMES = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "f64": "fp64"}
"""Precisions by the short names of element types."""
QUANTIZERS = {
    "QuantizeLinear",
    "DynamicQuantizeLinear",
    "DynamicQuantizeLSTM",
    "DynamicQuantizeMatMul",
    "ConvInteger",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "QAttention",
    "QEmbedLayerNormalization",
    "QGemm",
}
"""Operators on quantized activations, or that make them; so are all that begin with ``QLinear``."""
DEFAULT_DOMAIN = b"ai.onnx"
INT8, PLAIN = "int8", "fp32"
BLOCKS = b"MatMulNBits"
"""A product with weights of few bits, in blocks."""
BITS, USUAL_BITS = b"bits", 4
"""Its attribute that says of how many; where it is not there."""


class Contents(NamedTuple):
    """What the outputs of a file are computed from, in subgraphs and functions, too. What no output can
    reach computes nothing: engines leave it out."""

    operators: set[str]
    floats: Counter[str]
    """Elements that are stored, by precision."""
    block_bits: set[int]
    """Of weights that are stored in blocks, activations in float."""


def read_contents(path: Path) -> Contents:
    """The contents of an ONNX file that was admitted.

    Raises:
        InputError: if it is no readable file.
        ValueError: if it is no ONNX model.
    """
    found = Contents(set(), Counter(), set())
    with (
        files.open_regular(path) as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        reader = Reader(data)
        model = reader.message(Child(0, "model", ((0, len(data)),)), 0)
        functions = dict[tuple[bytes, ...], Message]()
        for child in model.children:
            if child.kind == "function":
                function = reader.message(child, 1)
                functions[_key(function, FUNCTION_KEY)] = function
        look = _Look(reader, functions, found)
        for child in model.children:
            if child.kind == "graph":
                look.graph(child, 1)
    return found


def is_quantized(found: Contents) -> bool:
    """Return whether activations are quantized in it. Weights alone that are stored in few bits do not count:
    what computes with them is float."""
    return any(op in QUANTIZERS or op.startswith(("QLinear", "QOrdered")) for op in found.operators)


def name_numerics(found: Contents, inputs: Sequence[Value]) -> str:
    """``int8`` of a graph that quantizes, ``int4`` or ``int8`` of one that stores weights in blocks, by the fewest bits; else
    ``fp32``, ``fp16``, ... as most of its weights are, or as its
    inputs are where it has none. A graph without floats is called by its first input: ``i64``."""
    if is_quantized(found):
        return INT8
    if found.block_bits:
        return f"int{min(found.block_bits)}"
    kinds = [ELEMENTS.get(value.element, "") for value in inputs]
    counted = found.floats or Counter(NAMES[kind] for kind in kinds if kind in NAMES)
    if counted:
        return counted.most_common(1)[0][0]
    return kinds[0] if kinds and kinds[0] else PLAIN


class _Look:
    """Walks from the outputs of a graph to what they are computed from."""

    def __init__(
        self, reader: Reader, functions: dict[tuple[bytes, ...], Message], found: Contents
    ) -> None:
        self._reader, self._found = reader, found
        self._ahead = functions
        """Functions that no node called yet."""
        self._called = set[tuple[bytes, ...]]()

    def graph(self, child: Child, depth: int) -> set[bytes]:
        """Take in what a graph's outputs need; gives the names it needs from around it."""
        graph = self._reader.message(child, depth)
        ends = dict[int, set[bytes]]({GRAPH_INPUT: set(), GRAPH_OUTPUT: set()})
        for inner in graph.children:
            if inner.number in ends:
                ends[inner.number].add(self._reader.message(inner, depth + 1).text(VALUE_NAME))
        return self._body(graph, ends[GRAPH_OUTPUT], depth) - ends[GRAPH_INPUT]

    def _body(self, body: Message, outputs: Iterable[bytes], depth: int) -> set[bytes]:
        """The same for the nodes and weights of a graph or a function."""
        makers = dict[bytes, tuple[str, Message]]()
        for child in body.children:
            if child.kind in ("node", "tensor", "sparse"):
                message = self._reader.message(child, depth + 1)
                for name in self._made(child.kind, message, depth + 1):
                    makers[name] = child.kind, message
        ahead, passed, outside, done = list(outputs), set[bytes](), set[bytes](), set[int]()
        while ahead:
            name = ahead.pop()
            if name in passed or not name:
                continue
            passed.add(name)
            if name not in makers:
                outside.add(name)
                continue
            kind, message = makers[name]
            if id(message) in done:
                continue
            done.add(id(message))
            if kind == "node":
                ahead += self._node(message, depth + 1)
            else:
                self._weights(kind, message, depth + 1)
        return outside

    def _made(self, kind: str, message: Message, depth: int) -> list[bytes]:
        """The names that a node or an initializer gives a value to."""
        if kind == "sparse":
            inner = [self._reader.message(c, depth + 1) for c in message.children if c.number == 1]
            return [tensor.text(TENSOR_NAME) for tensor in inner]
        return message.texts.get(NODE_OUTPUT if kind == "node" else TENSOR_NAME, [])

    def _node(self, node: Message, depth: int) -> list[bytes]:
        """Take in a node with what it holds; gives the names it reads."""
        key = _key(node, NODE_KEY)
        names = list(node.texts.get(NODE_INPUT, ()))
        function = self._ahead.pop(key, None)
        if function is not None:
            self._called.add(key)
            self._body(function, function.texts.get(FUNCTION_OUTPUT, ()), 1)
        if key not in self._called:
            self._found.operators.add(key[1].decode(errors="replace"))
        if key[1] == BLOCKS:
            self._found.block_bits.add(self._bits(node, depth))
        for attribute in (c for c in node.children if c.kind == "attribute"):
            for held in self._reader.message(attribute, depth + 1).children:
                if held.kind == "graph":
                    names += self.graph(held, depth + 2)
                elif held.kind in ("tensor", "sparse"):
                    self._weights(held.kind, self._reader.message(held, depth + 2), depth + 2)
        return names

    def _bits(self, node: Message, depth: int) -> int:
        for attribute in (c for c in node.children if c.kind == "attribute"):
            message = self._reader.message(attribute, depth + 1)
            if message.text(ATTRIBUTE_NAME) == BITS:
                return message.numbers.get(ATTRIBUTE_INT, [USUAL_BITS])[-1]
        return USUAL_BITS

    def _weights(self, kind: str, message: Message, depth: int) -> None:
        """Count the floats of a tensor, or of a sparse one's values."""
        if kind == "sparse":
            for child in message.children:
                self._weights("tensor", self._reader.message(child, depth + 1), depth + 1)
            return
        element = ELEMENTS.get(message.numbers.get(TENSOR_TYPE, [0])[-1], "")
        if element in NAMES:
            self._found.floats[NAMES[element]] += math.prod(message.numbers.get(TENSOR_DIMS, ()))


def _key(message: Message, fields: tuple[int, ...]) -> tuple[bytes, ...]:
    """Domain, name and overload of an operator or a function."""
    domain, *rest = (message.text(number) for number in fields)
    return (b"" if domain == DEFAULT_DOMAIN else domain, *rest)


class NumericsLabel(NamedTuple):
    """The precision an engine runs a file in, and the one its row is called by."""

    precision: str
    """What the runtime is told."""
    tensors: str = ""
    """What the row is called where that is another word."""


def make_labels(where: str, asked: Sequence[str], found: str, runtime: str) -> list[NumericsLabel]:
    """One label for each precision that is asked of a file, or for the file as it is.

    Args:
        where: how errors name the file.
        asked: precisions; empty for the file's own.
        found: what the file computes in, by `name_numerics`.
        runtime: a name of `edgekd.runtimes`.

    Raises:
        InputError: if int8 is asked of a float file or float of a quantized one, or another float than
            its own where the engine keeps that.
    """
    keeps = find_entry(runtime).keeps_floats
    if not asked:
        told = found if found in QUANTIZED else PLAIN
        return [NumericsLabel(told, found if keeps and found != told else "")]
    for precision in asked:
        if (
            (precision in QUANTIZED or found in QUANTIZED)
            and stored_precision(precision) != found
            or (keeps and precision == PLAIN and found not in (PLAIN, *QUANTIZED))
        ):
            raise InputError(
                f"{where}: got precision {precision!r}, want {found!r}: in that its graph computes",
                hint="without --precision a file is measured as it is",
            )
    return [NumericsLabel(precision) for precision in asked]

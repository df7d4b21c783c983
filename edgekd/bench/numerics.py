"""In which numbers an ONNX graph computes, as its file tells: what a measured row may be called."""

from __future__ import annotations

import math
import mmap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from edgekd import files
from edgekd.errors import InputError
from edgekd.graph import ELEMENTS
from edgekd.runtimes import entry
from edgekd.value_info import Value
from edgekd.wire import BYTES
from edgekd.wire import VARINT
from edgekd.wire import fields
from edgekd.wire import packed

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
INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 11: "graph"},
    "tensor": {},
}
"""Messages of onnx.proto3 (ONNX 1.23) and which of their fields hold which others."""
NODE_OPERATOR, TENSOR_DIMS, TENSOR_TYPE = 4, 1, 2
INT8, PLAIN = "int8", "fp32"


class Contents(NamedTuple):
    """What lies in a file, its subgraphs and functions included."""

    operators: set[str]
    floats: Counter[str]
    """Elements that are stored, by precision."""


def read(path: Path) -> Contents:
    """The contents of an ONNX file that was admitted.

    Raises:
        InputError: if it is no readable file.
        ValueError: if it is no ONNX model.
    """
    found = Contents(set(), Counter())
    with (
        files.open_regular(path) as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        _walk(data, "model", 0, len(data), found)
    return found


def quantizes(found: Contents) -> bool:
    """Whether activations are quantized in it. Weights alone that are stored in few bits do not count:
    what computes with them is float."""
    return any(op in QUANTIZERS or op.startswith(("QLinear", "QOrdered")) for op in found.operators)


def of(found: Contents, inputs: Sequence[Value]) -> str:
    """``int8`` of a graph that quantizes; else ``fp32``, ``fp16``, ... as most of its weights are, or as its
    inputs are where it has none. A graph without floats is called by its first input: ``i64``."""
    if quantizes(found):
        return INT8
    kinds = [ELEMENTS.get(value.element, "") for value in inputs]
    counted = found.floats or Counter(NAMES[kind] for kind in kinds if kind in NAMES)
    if counted:
        return counted.most_common(1)[0][0]
    return kinds[0] if kinds and kinds[0] else PLAIN


def _walk(data: mmap.mmap, message: str, start: int, end: int, found: Contents) -> None:
    element, shape = 0, list[int]()
    for number, wire, first, last in fields(data, start, end):
        inner = INSIDE[message].get(number) if wire == BYTES else None
        if inner is not None:
            _walk(data, inner, first, last, found)
        elif message == "node" and number == NODE_OPERATOR:
            found.operators.add(data[first:last].decode(errors="replace"))
        elif message == "tensor" and number == TENSOR_TYPE and wire == VARINT:
            element = first
        elif message == "tensor" and number == TENSOR_DIMS:
            shape += [first] if wire == VARINT else packed(data, first, last)
    kind = ELEMENTS.get(element, "")
    if message == "tensor" and kind in NAMES:
        found.floats[NAMES[kind]] += math.prod(shape)


class Label(NamedTuple):
    """How an engine runs a file, and what the row is called."""

    precision: str
    """What the runtime is told."""
    tensors: str = ""
    """What the row is called where that is another word."""


def labels(where: str, asked: Sequence[str], found: str, runtime: str) -> list[Label]:
    """One label for each precision that is asked of a file, or for the file as it is.

    Args:
        where: how errors name the file.
        asked: precisions; empty for the file's own.
        found: what the file computes in, by `of`.
        runtime: a name of `edgekd.runtimes`.

    Raises:
        InputError: if int8 is asked of a float file or float of a quantized one, or another float than
            its own where the engine keeps that.
    """
    keeps = entry(runtime).keeps_floats
    if not asked:
        told = INT8 if found == INT8 else PLAIN
        return [Label(told, found if keeps and found != told else "")]
    for precision in asked:
        if (precision == INT8) != (found == INT8) or (
            keeps and precision == PLAIN and found not in (PLAIN, INT8)
        ):
            raise InputError(
                f"{where}: got precision {precision!r}, want {found!r}: in that its graph computes",
                hint="without --precision a file is measured as it is",
            )
    return [Label(precision) for precision in asked]

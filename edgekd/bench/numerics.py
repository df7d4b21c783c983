"""In which numbers an ONNX graph computes, as its file tells: what a measured row may be called."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from edgekd import graph as graphs
from edgekd.errors import InputError
from edgekd.graph import Graph
from edgekd.runtimes import entry

NAMES = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "f64": "fp64"}
"""Precisions by the short names of element types."""
INT8, PLAIN = "int8", "fp32"


def of(graph: Graph) -> str:
    """``int8`` of a graph that quantizes; else ``fp32``, ``fp16``, ... as most of its weights are, or as its
    inputs are where it has none. A graph without floats is called by its first input: ``i64``."""
    if graphs.quantizes(graph):
        return INT8
    counted: Counter[str] = Counter()
    for name, shape in graph.shapes.items():
        kind = graphs.ELEMENTS.get(graph.elements[name], "")
        if kind in NAMES:
            counted[NAMES[kind]] += math.prod(shape)
    kinds = [graphs.ELEMENTS.get(value.element, "") for value in graph.inputs]
    if not counted:
        counted.update(NAMES[kind] for kind in kinds if kind in NAMES)
    if counted:
        return counted.most_common(1)[0][0]
    return kinds[0] if kinds and kinds[0] else PLAIN


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

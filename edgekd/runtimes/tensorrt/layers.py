"""The layers of a built engine, read from what TensorRT tells of them, and counted.

The text is that of its engine inspector, which an engine's builder also writes to its log (severity
VERBOSE) where the profiling verbosity is DETAILED: so it is there without a GPU. One line a layer:
``Name: fc/Gemm_myl0_6, LayerType: gemm, Inputs: [ {...} ], Constants: [ {...} ], Outputs: [ {...} ],
TacticName: ..., StreamId: 0, Metadata: [ONNX Layer: fc/Gemm][ONNX Layer: f8/DQ]``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from collections.abc import Sequence
from typing import NamedTuple

OPENING = "Layers:\n"
KIND = re.compile(r", LayerType: (\w+)")
NODE = re.compile(r"\[ONNX Layer: ([^\]]*)\]")
DATATYPE = re.compile(r"Datatype: ([^,}]*)")
SECTIONS = ("Inputs: [", "Constants: [", "Outputs: [", "TacticName:")
ELEMENTS = {
    "float": "f32",
    "fp32": "f32",
    "half": "f16",
    "fp16": "f16",
    "bfloat16": "bf16",
    "bf16": "bf16",
    "int8": "i8",
    "uint8": "u8",
    "int32": "i32",
    "int64": "i64",
    "bool": "bool",
    "fp8": "f8",
    "int4": "i4",
    "fp4": "f4",
}
"""TensorRT's words to those of `edgekd.graph.ELEMENTS`."""
FLOATS = ("f32", "f16", "bf16")
PRODUCTS = re.compile(r"correlation|convolution|conv$|gemm|matrix|matmul|fully|runtime_fusion|mha")
"""Kinds of layers that multiply matrices, in lower case: TensorRT for RTX says ``correlation`` and
``gemm``, classic TensorRT ``CaskConvolution`` and ``MatrixMultiply``."""


class EngineLayer(NamedTuple):
    """One kernel, or a few that are always launched together."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    """Their element types."""
    constants: tuple[str, ...]
    """The element types of its weights and scales, weights first."""
    nodes: tuple[str, ...]
    """The ONNX nodes it came from, its main one first."""


def parse_layers(messages: Iterable[str]) -> list[EngineLayer]:
    """The layers of the last engine that the messages of a log tell of; empty if they tell of none."""
    told = [message for message in messages if message.startswith(OPENING)]
    lines = told[-1].partition("\n\n")[0].split("\n")[1:] if told else []
    return [layer for layer in map(_layer, lines) if layer]


def _layer(line: str) -> EngineLayer | None:
    kind = KIND.search(line)
    if not line.startswith("Name: ") or kind is None:
        return None
    name, rest = line[len("Name: ") : kind.start()], line[kind.end() :]
    inputs, constants = (_elements(_section(rest, opening)) for opening in SECTIONS[:2])
    nodes = tuple(dict.fromkeys(NODE.findall(rest.partition("Metadata: ")[2])))
    return EngineLayer(name, kind.group(1), inputs, constants, nodes)


def _section(rest: str, opening: str) -> str:
    """Return what stands between `opening` and the next section."""
    after = rest.partition(opening)[2]
    ends = [at for at in map(after.find, SECTIONS) if at >= 0]
    return after[: min(ends, default=len(after))]


def _elements(section: str) -> tuple[str, ...]:
    found = []
    for said in DATATYPE.findall(section):
        words = re.findall(r"[a-z]+\d*", said.lower())
        known = [ELEMENTS[word] for word in words if word in ELEMENTS]
        found.append(known[-1] if known else "unknown")
    return tuple(found)


def count_layers(layers: Sequence[EngineLayer]) -> dict[str, int]:
    """``{"correlation i8": 9}``, each with the element type of its first input, most frequent first.

    What has no input (shapes, on the host) is left out.
    """
    counted = Counter(f"{layer.kind} {layer.inputs[0]}" for layer in layers if layer.inputs)
    return dict(counted.most_common())


def islands(layers: Sequence[EngineLayer]) -> list[dict[str, str]]:
    """The matrix products that run in float."""
    return [
        {
            "node": (layer.nodes or (layer.name,))[0],
            "op": layer.kind,
            "cause": _cause(layer),
        }
        for layer in layers
        if PRODUCTS.search(layer.kind.lower()) and layer.inputs and layer.inputs[0] in FLOATS
    ]


def _cause(layer: EngineLayer) -> str:
    floats = "its input and weights reach" if layer.constants else "its inputs reach"
    if layer.constants and layer.constants[0] not in FLOATS:
        floats = "its input reaches"
    return f"{floats} it as {layer.inputs[0]}, want QuantizeLinear and DequantizeLinear before"

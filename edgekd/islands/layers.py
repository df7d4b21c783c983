"""What OpenVINO left in float of a Q/DQ file: the layers of its CPU graph, and the IR they are of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from edgekd.islands import BYTES
from edgekd.islands import FLOATS
from edgekd.islands import HALF_BYTES
from edgekd.islands import Island
from edgekd.islands import reachable_nodes

PRODUCTS = {"Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul"}
QUANTIZERS = {"FakeQuantize", "Convert"}
STORED = {"Const", "Input", "Output"}
"""Kinds of layers that compute nothing, as those of `MOVES`."""
MOVES = STORED | {"Reorder", "Reshape", "Transpose", "Convert"}
TAKEN = {"Gather"}
"""Kinds of layers that take rows of a table: int8 ones are stored so, and numbers behind it."""
PASSING = {"Reshape", "Transpose", "Squeeze", "Unsqueeze", "MaxPool"}
UNBIASED = "/WithoutBiases"
"""What the ONNX reader appends to the name of a product whose bias it makes an Add of that name."""


NUMBERED = re.compile(r"^[A-Z]\w*_\d+$")
"""A name that OpenVINO made up: ``MVN_72``."""


class GraphLayer(NamedTuple):
    """One layer of the graph that runs."""

    name: str
    kind: str
    precision: str
    inputs: tuple[str, ...]
    """Names of layers."""
    origins: tuple[str, ...] = ()
    """Names of operations of the IR that it is made of, the first computed first."""


class Operation(NamedTuple):
    """One operation of the IR."""

    kind: str
    inputs: tuple[str, ...]
    element: str
    """Of its first output."""


def find_islands(layers: Sequence[GraphLayer], operations: Mapping[str, Operation]) -> list[Island]:
    """The layers that compute in float between int8 ones, or though their weights are quantized.

    Args:
        layers: those of the compiled model.
        operations: the IR, by name; without a FakeQuantize there are no islands.
    """
    if not any(operation.kind == "FakeQuantize" for operation in operations.values()):
        return []
    readers: dict[str, list[str]] = {}
    for layer in layers:
        for name in layer.inputs:
            readers.setdefault(name, []).append(layer.name)
    makers = {layer.name: layer.inputs for layer in layers}
    int8 = [layer.name for layer in layers if _takes_or_gives_int8(layer, operations)]
    behind = reachable_nodes((reader for name in int8 for reader in readers.get(name, [])), readers)
    gives = {layer.name for layer in layers if _quantizes(layer, operations)}
    before = reachable_nodes((maker for name in int8 for maker in makers[name]), makers) | gives
    return [
        _island(layer, operations)
        for layer in layers
        if layer.kind not in MOVES and layer.precision in FLOATS and _computes(layer, operations)
        if (layer.name in behind and layer.name in before) or _has_int8_weights(layer, operations)
    ]


def _takes_or_gives_int8(layer: GraphLayer, operations: Mapping[str, Operation]) -> bool:
    if layer.kind in STORED | TAKEN or _reads_row(layer, operations):
        return False
    return layer.precision in BYTES or _quantizes(layer, operations)


def _reads_row(layer: GraphLayer, operations: Mapping[str, Operation]) -> bool:
    """Return whether `layer` makes numbers of rows of a table of codes."""
    origins = [operations[name] for name in layer.origins if name in operations]
    return any(
        operations[name].kind in TAKEN
        for one in origins
        if one.kind == "Convert"
        for name in one.inputs
        if name in operations
    )


def _quantizes(layer: GraphLayer, operations: Mapping[str, Operation]) -> bool:
    return any(
        operations[name].kind == "FakeQuantize"
        or (operations[name].kind == "Convert" and operations[name].element in BYTES)
        for name in layer.origins
        if name in operations
    )


def _computes(layer: GraphLayer, operations: Mapping[str, Operation]) -> list[str]:
    """Its origins that are no part of quantizing."""
    return [
        name
        for name in layer.origins
        if name in operations
        and operations[name].kind not in QUANTIZERS
        and _stored(name, operations) is None
    ]


def _has_int8_weights(layer: GraphLayer, operations: Mapping[str, Operation]) -> bool:
    operation = operations[_main(layer, operations)]
    return operation.kind in PRODUCTS and any(
        _stored(name, operations) is not None and _is_constant(name, operations)
        for name in operation.inputs
    )


def _main(layer: GraphLayer, operations: Mapping[str, Operation]) -> str:
    names = _computes(layer, operations)
    return next((name for name in names if operations[name].kind in PRODUCTS), names[0])


def _island(layer: GraphLayer, operations: Mapping[str, Operation]) -> Island:
    name = _main(layer, operations)
    return {
        "node": _told(name, operations).removesuffix(UNBIASED),
        "op": operations[name].kind,
        "cause": _cause(operations[name], operations),
    }


def _told(name: str, operations: Mapping[str, Operation]) -> str:
    """The name of the ONNX node: OpenVINO numbers the first ones of those it writes as several."""
    at: str | None = name
    while at is not None and NUMBERED.search(at):
        at = next((reader for reader, one in operations.items() if at in one.inputs), None)
    return at or name


def _cause(operation: Operation, operations: Mapping[str, Operation]) -> str:
    constants = [name for name in operation.inputs if _is_constant(name, operations)]
    varying = [name for name in operation.inputs if name not in constants]
    floats = [name for name in varying if _stored(name, operations) is None]
    if floats:
        few = len(floats) < len(varying)
        several = "one of its inputs is" if few else "its inputs are"
        return f"{'its input is' if len(varying) == 1 else several} not quantized"
    if operation.kind in PRODUCTS and constants:
        stored = _stored(constants[0], operations)
        if stored is None:
            return "its weights are not quantized"
        if stored in HALF_BYTES:
            return "its 4-bit weights are not cast to int8 before DequantizeLinear"
    return f"OpenVINO computes {operation.kind} in float"


def _stored(name: str, operations: Mapping[str, Operation]) -> str | None:
    """The 8- or 4-bit element type that a value was dequantized from, through what moves it."""
    operation = operations.get(name)
    while operation is not None and operation.kind in PASSING:
        operation = operations.get(operation.inputs[0])
    if operation is not None and operation.kind == "Multiply":
        operation = operations.get(operation.inputs[0])
        if operation is not None and operation.kind == "Subtract":
            operation = operations.get(operation.inputs[0])
    if operation is None or operation.kind != "Convert":
        return None
    held = operations.get(operation.inputs[0])
    return held.element if held and held.element in BYTES + HALF_BYTES else None


def _is_constant(name: str, operations: Mapping[str, Operation]) -> bool:
    ahead, seen = [name], set[str]()
    while ahead:
        at = ahead.pop()
        if at in seen:
            continue
        seen.add(at)
        operation = operations.get(at)
        if operation is None or operation.kind == "Parameter":
            return False
        ahead += operation.inputs
    return True

"""An ONNX file that was admitted, as a graph and its weights."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import inliner
from onnx import numpy_helper

from edgekd.errors import InputError
from edgekd.learn.onnx_import import fusion
from edgekd.learn.onnx_import.graph import Constant
from edgekd.learn.onnx_import.graph import OnnxGraph
from edgekd.learn.onnx_import.graph import OnnxModel
from edgekd.learn.onnx_import.graph import OnnxNode
from edgekd.learn.onnx_import.graph import WeightShape
from edgekd.learn.onnx_import.operators import OPERATORS

SETTINGS: dict[str, tuple[int, ...]] = {"Resize": (1, 2, 3), "Upsample": (1,), "OneHot": (1, 2)}
"""Inputs by position that say how an operator works, and are never learned."""
FEW = 64
"""Whole numbers that are sizes or axes, not a table to look things up in."""
CONTROL_FLOW = ("If", "Loop", "Scan")
HALVES = {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
QUANTIZED = (
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "ConvInteger",
    "MatMulInteger",
)
OWN_DOMAINS = ("", "ai.onnx")
NAMED = 3
"""Operators that an error names."""


def read_model(path: Path) -> OnnxModel:
    """The graph and the weights of a file that was admitted and holds all of its weights.

    Raises:
        InputError: if it cannot be read, or has what cannot be imported; says what, and what to do.
    """
    try:
        proto = onnx.load(str(path), load_external_data=False)
        if proto.functions:
            proto = inliner.inline_local_functions(proto)
    except Exception as error:  # protobuf's own, and what the inliner raises
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{path}: got no ONNX model that can be read: {first[:200]}") from error
    try:
        return convert_model(proto)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from error


def convert_model(proto: onnx.ModelProto) -> OnnxModel:
    """The same of a model that was read.

    Raises:
        ValueError: if it has what cannot be imported.
    """
    return fusion.fuse(_read(proto))


def find_obstacle(operators: Iterable[str]) -> str:
    """Say why a graph with these operators cannot be imported; empty if it can.

    Args:
        operators: names, a foreign domain before them.
    """
    names = sorted(set(operators))
    quantized = [name for name in names if name in QUANTIZED or name.startswith("QLinear")]
    if quantized:
        return f"it is quantized already: it has {quantized[0]}"
    flow = [name for name in names if name in CONTROL_FLOW]
    if flow:
        return f"it has control flow ({', '.join(flow)}), which an int8 graph here has not"
    unknown = [name for name in names if name not in OPERATORS]
    if unknown:
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        return f"it has operators that are not imported: {', '.join(unknown[:NAMED])}{more}"
    return ""


def _read(proto: onnx.ModelProto) -> OnnxModel:
    versions = {entry.domain: entry.version for entry in proto.opset_import}
    graph = proto.graph
    obstacle = find_obstacle(map(_operator, graph.node))
    if obstacle:
        raise ValueError(obstacle)
    tensors = {each.name: each for each in graph.initializer}
    held = {node.output[0]: _constant(node) for node in graph.node if node.op_type == "Constant"}
    tensors |= {name: tensor for name, tensor in held.items() if tensor is not None}
    if any(tensor.data_type in HALVES for tensor in tensors.values()):
        raise ValueError("its weights are 16-bit floats, want a float32 file to quantize")
    if graph.sparse_initializer:
        raise ValueError("it has sparse weights, want dense ones")
    settings = {
        node.input[at]
        for node in graph.node
        for at in SETTINGS.get(node.op_type, ())
        if at < len(node.input)
    }
    constants: dict[str, Constant] = {}
    weights: dict[str, Constant] = {}
    for name, tensor in tensors.items():
        array = _array(tensor)
        single = array.size <= 1 or (array.dtype.kind in "iub" and array.size <= FEW)
        plain = name in settings or (single and array.ndim < 2)
        (constants if plain else weights)[name] = array
    nodes = tuple(_node(node) for node in graph.node if node.output[0] not in tensors)
    known = {*constants, *weights}
    return OnnxModel(
        OnnxGraph(
            nodes,
            tuple(value.name for value in graph.input if value.name not in known),
            tuple(value.name for value in graph.output),
            constants,
            shapes_of(weights),
            next((versions[name] for name in OWN_DOMAINS if name in versions), 1),
        ),
        weights,
    )


def shapes_of(weights: Mapping[str, Constant]) -> dict[str, WeightShape]:
    """Types and sizes of weights."""
    return {name: WeightShape(each.dtype.name, tuple(each.shape)) for name, each in weights.items()}


def _operator(node: onnx.NodeProto) -> str:
    return node.op_type if node.domain in OWN_DOMAINS else f"{node.domain}.{node.op_type}"


def _constant(node: onnx.NodeProto) -> onnx.TensorProto | None:
    return next((each.t for each in node.attribute if each.name == "value"), None)


def _array(tensor: onnx.TensorProto) -> Constant:
    array = numpy_helper.to_array(tensor)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"weight {tensor.name!r:.60} holds {array.dtype}, want numbers")
    return np.array(array)


def _node(node: onnx.NodeProto) -> OnnxNode:
    words: dict[str, Any] = {}
    for each in node.attribute:
        value = onnx.helper.get_attribute_value(each)
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        elif isinstance(value, onnx.TensorProto):
            array = _array(value)
            value = [array.dtype.name, array.ravel()[0].item() if array.size else 0]
        elif each.type in (each.INTS, each.FLOATS, each.STRINGS):
            value = [item.decode() if isinstance(item, bytes) else item for item in value]
        elif not isinstance(value, int | float):
            raise ValueError(
                f"{node.op_type} has the attribute {each.name!r}, which cannot be read"
            )
        words[each.name] = value
    if node.op_type == "Split":
        words["edgekd_outputs"] = len(node.output)
    inputs, outputs = tuple(node.input), tuple(node.output)
    return OnnxNode(_operator(node), inputs, outputs, words, node.name)

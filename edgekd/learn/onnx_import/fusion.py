"""An imported graph in the form that torch's own models have: what exporters took apart is put together again.

Each change keeps what is computed, up to rounding: scales and shifts behind a layer go into its weights, products
with a matrix of weights become linear layers, and activations and norms that were written as arithmetic become one
operator. What cannot be told for certain is left as it is.
"""

from __future__ import annotations

import numpy as np
import torch

from edgekd.learn.onnx_import import patterns
from edgekd.learn.onnx_import.draft import Draft
from edgekd.learn.onnx_import.draft import split_operands
from edgekd.learn.onnx_import.graph import Constant
from edgekd.learn.onnx_import.graph import OnnxModel
from edgekd.learn.onnx_import.graph import OnnxNode
from edgekd.learn.onnx_import.network import run_operator
from edgekd.learn.onnx_import.operators.layers import LINEAR


def fuse(model: OnnxModel) -> OnnxModel:
    """The same model with all that fits put together."""
    draft = Draft(model)
    _precompute(draft)
    for name, value in list(draft.alone("Identity")):
        draft.replace(name, value)
    for change in CHANGES:
        for node in list(draft.nodes):
            if node in draft.nodes:
                change(draft, node)
    return draft.finish()


def _precompute(draft: Draft) -> None:
    """What is computed of weights and constants alone becomes a weight."""
    for node in draft.nodes:
        known = node.inputs and all(not name or name in draft.values for name in node.inputs)
        if not known or len(node.outputs) != 1 or node.outputs[0] in draft.graph.outputs:
            continue
        given = [
            draft.values[name] if name in draft.graph.constants else _as_weight(draft, name)
            for name in node.inputs
        ]
        try:
            with torch.no_grad():
                found = run_operator(node, draft.graph.opset, *given)
        except (ValueError, RuntimeError, TypeError, IndexError, MemoryError):
            continue  # it is told where it runs
        if isinstance(found, tuple):
            continue
        array = found.numpy() if isinstance(found, torch.Tensor) else found
        draft.values[node.outputs[0]] = np.array(array)
    draft.drop_known()


def _as_weight(draft: Draft, name: str) -> torch.Tensor | None:
    return torch.from_numpy(np.array(draft.values[name])) if name else None


def _scale_by_one(draft: Draft, node: OnnxNode) -> None:
    """``1 x`` is ``x``."""
    if node.op not in ("Mul", "Div") or node.outputs[0] in draft.graph.outputs:
        return
    sides = (1, 0) if node.op == "Mul" else (1,)
    for at in sides:
        value = draft.constant(node.inputs[at])
        if value is not None and value.ndim <= 1 and draft.number(node.inputs[at]) == 1:
            draft.nodes = [each for each in draft.nodes if each is not node]
            draft.replace(node.outputs[0], node.inputs[1 - at])
            return


def _linear_of_gemm(draft: Draft, node: OnnxNode) -> None:
    """A product with a matrix of weights, plus a row, is a linear layer."""
    if node.op != "Gemm" or node.attributes.get("transA"):
        return
    words = node.attributes
    if words.get("alpha", 1.0) != 1 or words.get("beta", 1.0) != 1:
        return
    matrix = draft.constant(node.inputs[1])
    if matrix is None or matrix.ndim != 2:
        return
    weight = matrix if words.get("transB") else matrix.T
    name = node.inputs[1] if words.get("transB") else _turned(draft, node.inputs[1], weight)
    takes = [node.inputs[0], name]
    if len(node.inputs) > 2 and node.inputs[2]:
        row = draft.constant(node.inputs[2])
        if row is None or row.size not in (1, len(weight)) or row.ndim > 2:
            return
        flat = np.broadcast_to(row.reshape(-1), (len(weight),)).copy()
        takes.append(
            draft.store(f"{node.inputs[2]}_row", flat)
            if row.shape != flat.shape
            else node.inputs[2]
        )
    draft.put(node, OnnxNode(LINEAR, tuple(takes), node.outputs, {}, node.name))


def _turned(draft: Draft, name: str, weight: Constant) -> str:
    return draft.store(f"{name}_turned", np.ascontiguousarray(weight))


def _linear_of_product(draft: Draft, node: OnnxNode) -> None:
    """A product with a matrix of weights is a linear layer without a bias."""
    if node.op != "MatMul":
        return
    matrix = draft.constant(node.inputs[1])
    if matrix is None or matrix.ndim != 2 or draft.constant(node.inputs[0]) is not None:
        return
    name = _turned(draft, node.inputs[1], matrix.T)
    draft.put(node, OnnxNode(LINEAR, (node.inputs[0], name), node.outputs, {}, node.name))


def _per_output(layer: OnnxNode, weight: Constant, value: Constant) -> Constant | None:
    """A constant as one number for each output of a layer; None if it is another thing."""
    outputs = len(weight)
    axes = weight.ndim if layer.op == "Conv" else 0
    if value.dtype.kind != "f":
        return None
    if value.size == 1 and value.ndim <= max(axes, 1):
        return np.full(outputs, value.ravel()[0], np.float32)
    if layer.op == LINEAR:
        return value.astype(np.float32) if value.shape == (outputs,) else None
    sizes = (1,) * (axes - value.ndim) + value.shape
    want = (1, outputs, *[1] * (axes - 2))
    return (
        value.reshape(-1).astype(np.float32) if sizes == want and value.ndim >= axes - 1 else None
    )


def _affine(draft: Draft, node: OnnxNode) -> None:
    """A factor behind a layer goes into its weights and its bias."""
    if node.op not in ("Mul", "Div"):
        return
    parts = split_operands(draft, node)
    if parts is None or (node.op == "Div" and draft.constant(node.inputs[1]) is None):
        return
    layer = draft.source(parts[0], "Conv", LINEAR)
    weight = draft.constant(layer.inputs[1]) if layer is not None else None
    if layer is None or weight is None:
        return
    factor = _per_output(layer, weight, parts[1])
    if factor is None or not np.all(np.isfinite(factor)) or (node.op == "Div" and not factor.all()):
        return
    factor = 1 / factor if node.op == "Div" else factor
    takes = list(layer.inputs)
    scaled = weight * factor.reshape(-1, *[1] * (weight.ndim - 1))
    takes[1] = draft.store(f"{takes[1]}_scaled", scaled.astype(weight.dtype))
    if len(takes) > 2 and takes[2]:
        bias = draft.constant(takes[2])
        if bias is None:
            return
        takes[2] = draft.store(f"{takes[2]}_scaled", (bias * factor).astype(bias.dtype))
    draft.put(node, layer._replace(inputs=tuple(takes), outputs=node.outputs), layer)


def _bias(draft: Draft, node: OnnxNode) -> None:
    """A constant added behind a layer goes into its bias."""
    if node.op != "Add":
        return
    parts = split_operands(draft, node)
    layer = draft.source(parts[0], "Conv", LINEAR) if parts is not None else None
    weight = draft.constant(layer.inputs[1]) if layer is not None else None
    if parts is None or layer is None or weight is None:
        return
    added = _per_output(layer, weight, parts[1])
    takes = list(layer.inputs)
    if added is None:
        return
    if len(takes) > 2 and takes[2]:
        bias = draft.constant(takes[2])
        if bias is None:
            return
        added = bias + added
    takes[2:] = [draft.store(f"{node.outputs[0]}_bias", added.astype(weight.dtype))]
    draft.put(node, layer._replace(inputs=tuple(takes), outputs=node.outputs), layer)
    _affine_chain(draft, node.outputs[0])


def _affine_chain(draft: Draft, name: str) -> None:
    """Whatever else is added or multiplied behind it."""
    for node in list(draft.nodes):
        if name in node.inputs and draft.uses[name] == 1:
            _affine(draft, node)
            if node in draft.nodes:
                _bias(draft, node)


CHANGES = (
    _scale_by_one,
    _linear_of_gemm,
    _linear_of_product,
    _affine,
    _bias,
    patterns.put_hard_swish,
    patterns.put_layer_norm,
    patterns.put_gelu,
)
"""In their order."""

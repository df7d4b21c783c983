"""Activations and norms that exporters wrote as arithmetic, each put together again."""

from __future__ import annotations

import math
from typing import Any

from edgekd.learn.onnx_import.draft import Draft
from edgekd.learn.onnx_import.draft import split_operands
from edgekd.learn.onnx_import.graph import Constant
from edgekd.learn.onnx_import.graph import OnnxNode

ROUNDING = 1e-5
"""How far a stored number may be from the one that a formula has."""


def _near(value: float | None, want: float) -> bool:
    return value is not None and math.isclose(value, want, rel_tol=ROUNDING, abs_tol=0)


def _with_number(draft: Draft, node: OnnxNode | None, want: float) -> str | None:
    """The other side of a node of two inputs one of which is that number."""
    if node is None:
        return None
    for at in (1, 0):
        if _near(draft.number(node.inputs[at]), want):
            return node.inputs[1 - at]
    return None


def put_hard_swish(draft: Draft, node: OnnxNode) -> None:
    """``x clip(x + 3, 0, 6) / 6``."""
    number = 6.0 if node.op == "Div" else 1 / 6
    if node.op not in ("Div", "Mul") or not _near(draft.number(node.inputs[-1]), number):
        return
    product = draft.source(node.inputs[0], "Mul")
    for at in (0, 1) if product is not None else ():
        assert product is not None
        clip = draft.source(product.inputs[1 - at], "Clip")
        if clip is None or not _is_clip(draft, clip, 0.0, 6.0):
            continue
        shift = draft.source(clip.inputs[0], "Add")
        if _with_number(draft, shift, 3.0) != product.inputs[at] or shift is None:
            continue
        made = OnnxNode("HardSwish", (product.inputs[at],), node.outputs, {}, node.name)
        draft.put(node, made, product, clip, shift)
        return


def _is_clip(draft: Draft, node: OnnxNode, low: float, high: float) -> bool:
    words: dict[str, Any] = dict(node.attributes)
    given = [draft.number(name) if name else None for name in node.inputs[1:3]]
    least = given[0] if given else words.get("min")
    most = given[1] if len(given) > 1 else words.get("max")
    return least == low and most == high


def put_layer_norm(draft: Draft, node: OnnxNode) -> None:
    """``(x - mean) / sqrt(mean of squares + epsilon) scale + bias`` over the last axis."""
    if node.op != "Add":
        return
    outer = split_operands(draft, node)
    scaled = draft.source(outer[0], "Mul") if outer is not None else None
    inner = split_operands(draft, scaled) if scaled is not None else None
    divided = draft.source(inner[0], "Div") if inner is not None else None
    root = draft.source(divided.inputs[1], "Sqrt") if divided is not None else None
    added = draft.source(root.inputs[0], "Add") if root is not None else None
    sides = split_operands(draft, added) if added is not None else None
    variance = draft.source(sides[0], "ReduceMean") if sides is not None else None
    square = draft.source(variance.inputs[0], "Pow", "Mul") if variance is not None else None
    if not (
        outer and inner and divided and root and added and sides and variance and square and scaled
    ):
        return
    centred = draft.maker.get(divided.inputs[0])
    if centred is None or centred.op != "Sub" or square.inputs[0] != centred.outputs[0]:
        return
    squares = (
        square.inputs[1] == square.inputs[0]
        if square.op == "Mul"
        else draft.number(square.inputs[1]) == 2
    )
    mean = draft.source(centred.inputs[1], "ReduceMean")
    if mean is None or not squares or mean.inputs[0] != centred.inputs[0]:
        return
    weight, bias, epsilon = inner[1], outer[1], sides[1]
    plain = weight.ndim == 1 == bias.ndim and weight.shape == bias.shape and epsilon.size == 1
    if not plain or draft.uses[centred.outputs[0]] != 1 + len(
        square.inputs[: 1 + (square.op == "Mul")]
    ):
        return
    if not all(_over_last(draft, each) for each in (mean, variance)):
        return
    words = {"axis": -1, "epsilon": float(epsilon.ravel()[0])}
    names = [_name_of(draft, scaled, weight), _name_of(draft, node, bias)]
    made = OnnxNode("LayerNormalization", (mean.inputs[0], *names), node.outputs, words, node.name)
    draft.put(node, made, scaled, divided, root, added, variance, square, centred, mean)


def _name_of(draft: Draft, node: OnnxNode, value: Constant) -> str:
    return next(name for name in node.inputs if draft.constant(name) is value)


def _over_last(draft: Draft, node: OnnxNode) -> bool:
    """Whether it is the mean over the last axis, which keeps it."""
    axes = node.attributes.get("axes")
    if axes is None and len(node.inputs) > 1:
        given = draft.constant(node.inputs[1])
        axes = None if given is None else given.tolist()
    return axes == [-1] and bool(node.attributes.get("keepdims", 1))


def put_gelu(draft: Draft, node: OnnxNode) -> None:
    """``x (1 + erf(x / sqrt 2)) / 2``, the half on either factor or at the end."""
    if node.op != "Mul":
        return
    rest = _with_number(draft, node, 0.5)
    product = draft.source(rest, "Mul") if rest is not None else None
    if product is not None:
        for at in (0, 1):
            factor = _erf_factor(draft, product.inputs[at])
            if factor is not None and product.inputs[1 - at] == factor[0]:
                _put_gelu(draft, node, factor, product)
                return
    for at in (0, 1):
        factor = _erf_factor(draft, node.inputs[at])
        half = draft.source(node.inputs[1 - at], "Mul")
        if factor is not None and half is not None and _with_number(draft, half, 0.5) == factor[0]:
            _put_gelu(draft, node, factor, half)
            return


def _erf_factor(draft: Draft, name: str) -> tuple[str, list[OnnxNode]] | None:
    """``x`` of ``1 + erf(x / sqrt 2)``, and the nodes of that."""
    shift = draft.source(name, "Add")
    inner = _with_number(draft, shift, 1.0)
    erf = draft.source(inner, "Erf") if inner is not None else None
    ratio = draft.source(erf.inputs[0], "Div", "Mul") if erf is not None else None
    if shift is None or erf is None or ratio is None:
        return None
    root = math.sqrt(2) if ratio.op == "Div" else 1 / math.sqrt(2)
    x = _with_number(draft, ratio, root)
    return None if x is None else (x, [shift, erf, ratio])


def _put_gelu(
    draft: Draft, node: OnnxNode, factor: tuple[str, list[OnnxNode]], *others: OnnxNode
) -> None:
    made = OnnxNode("Gelu", (factor[0],), node.outputs, {}, node.name)
    draft.put(node, made, *factor[1], *others)

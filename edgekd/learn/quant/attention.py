"""An attention written as one operator of ONNX, for engines that have a kernel for it.

Reads [B, S, H D] queries, keys and values as linear layers give them: no heads are moved, and scores are scaled, masked and
made probabilities in one go (measured: benchmarks/encoder_int8).
"""

from __future__ import annotations

from typing import Any
from typing import NamedTuple

import torch
from torch import fx

from edgekd.learn.quant import operators
from edgekd.learn.quant import tracing
from edgekd.learn.quant.onnx_operators import attention
from edgekd.learn.quant.quantizer import ActivationQuantizer

OPSET = 23
"""The first operator set that has it."""
LAST = (-1, 3)
_aten = torch.ops.aten
SPLITS = {_aten.view.default, _aten.reshape.default, _aten.unflatten.int}
JOINS = {_aten.view.default, _aten.reshape.default, _aten.flatten.using_ints}


class Attention(NamedTuple):
    """Where one begins and ends."""

    ends: tuple[fx.Node, fx.Node, fx.Node]
    """Queries, keys, values: [B, S, H D]."""
    heads: int
    scale: float
    mask: fx.Node | None
    """Added to the scores: numbers, [B, 1 or H, 1 or S, S]."""
    site: fx.Node | None
    """The quantizer of what it gives."""
    output: fx.Node
    """[B, S, H D]."""


def fuse_attention(module: fx.GraphModule) -> int:
    """Write every attention of that form as one operator, in place; return how many."""
    found = [
        match
        for node in module.graph.nodes
        if node.target in operators.SOFTMAX and (match := _match(module, node)) is not None
    ]
    for one in found:
        mask = () if one.mask is None else (one.mask,)
        with module.graph.inserting_before(one.output):
            made = module.graph.call_function(attention, (*one.ends, one.heads, one.scale, *mask))
            made.meta = tracing.place_of(one.output)
            given = made
            if one.site is not None:
                given = module.graph.call_module(str(one.site.target), (made,))
                given.meta = tracing.place_of(one.output)
        one.output.replace_all_uses_with(given)
    for node in reversed(list(module.graph.nodes)):
        made_idle = node.op in ("call_function", "call_module") and not node.is_impure()
        if made_idle and not node.users:
            module.graph.erase_node(node)
    tracing.erase_unused(module.graph)
    return len(found)


def needs_opset(module: fx.GraphModule) -> int:
    """The operator set that `module` needs for it; 0 without one."""
    return OPSET if any(node.target is attention for node in module.graph.nodes) else 0


def _match(module: fx.GraphModule, softmax: fx.Node) -> Attention | None:
    product, site, output = _behind(module, softmax)
    if product is None or output is None or softmax.args[1] not in LAST:
        return None
    scores, mask = _unmask(softmax.args[0])
    scores, scale = _unscale(scores)
    if not _is_sole(scores) or scores.target not in operators.MATMULS:
        return None
    query, turned = scores.args
    if not isinstance(turned, fx.Node) or not _swaps(turned, (2, 3)):
        return None
    split = [_split(one) for one in (query, turned.args[0], product.args[1])]
    if any(one is None for one in split) or len({one[1] for one in split if one}) != 1:
        return None
    (ends, (heads, *_)) = zip(*[one for one in split if one], strict=True)
    return Attention(ends, heads[0], scale, mask, site, output)


def _behind(
    module: fx.GraphModule, softmax: fx.Node
) -> tuple[fx.Node | None, fx.Node | None, fx.Node | None]:
    """The product with the values, its quantizer, and the node that joins the heads again."""
    product = _next(softmax, operators.VANISHING)
    if product is None or product.target not in operators.MATMULS:
        return None, None, None
    if softmax not in (product.args[0], getattr(product.args[0], "args", [None])[0]):
        return None, None, None
    at, site = _next(product), None
    if at is not None and at.op == "call_module":
        if not isinstance(module.get_submodule(str(at.target)), ActivationQuantizer):
            return None, None, None
        at, site = _next(at), at
    if at is None or not _swaps(at, (1, 2)):
        return None, None, None
    joined = _next(at, operators.VANISHING)
    joins = joined is not None and joined.target in JOINS and tracing.rank_of(joined) == 3
    return product, site, joined if joins else None


def _next(node: fx.Node, passed: set[Any] | None = None) -> fx.Node | None:
    """The only reader, past those of `passed`."""
    while len(node.users) == 1:
        (node,) = node.users
        if node.target not in (passed or ()):
            return node
    return None


def _is_sole(node: object) -> bool:
    return isinstance(node, fx.Node) and len(node.users) == 1


def _unmask(scores: Any) -> tuple[Any, fx.Node | None]:
    """Scores before a mask of numbers was added."""
    if not _is_sole(scores) or scores.target is not operators.ADD or scores.kwargs:
        return scores, None
    scored, mask = scores.args
    known = isinstance(mask, fx.Node) and tracing.rank_of(mask) == 4
    return (scored, mask) if known else (scores, None)


def _unscale(scores: Any) -> tuple[Any, float]:
    """Scores before they were multiplied or divided by a number."""
    if _is_sole(scores) and len(scores.args) == 2 and isinstance(scores.args[1], int | float):
        if scores.target is operators.MULTIPLY:
            return scores.args[0], float(scores.args[1])
        if scores.target is _aten.div.Tensor and scores.args[1]:
            return scores.args[0], 1 / float(scores.args[1])
    return scores, 1.0


def _swaps(node: fx.Node, axes: tuple[int, int]) -> bool:
    """Return whether `node` swaps two of four axes."""
    if tracing.rank_of(node) != 4:
        return False
    if node.target is operators.TRANSPOSE:
        return tuple(sorted(axis % 4 for axis in node.args[1:3])) == axes
    order = list(range(4))
    order[axes[0]], order[axes[1]] = axes[1], axes[0]
    return node.target is _aten.permute.default and list(node.args[1]) == order


def _split(node: Any) -> tuple[fx.Node, tuple[int, int]] | None:
    """What heads [B, H, S, D] were made of, and H and D."""
    if not isinstance(node, fx.Node) or not _swaps(node, (1, 2)):
        return None
    split = node.args[0]
    if not isinstance(split, fx.Node) or split.target not in SPLITS:
        return None
    whole, shape = split.args[0], tracing.shape_of(split)
    if not isinstance(whole, fx.Node) or len(shape) != 4 or tracing.rank_of(whole) != 3:
        return None
    heads, size = shape[2:]
    width = tracing.shape_of(whole)[2]
    if heads is None or size is None or heads * size != width:
        return None
    return whole, (heads, size)

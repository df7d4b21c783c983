"""One form for what can be written in several, so that the tables of `operators` know it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch import fx

from edgekd.learn.quant import operators
from edgekd.learn.quant import tracing

_aten = torch.ops.aten
SIDES = ([2, 3], [-2, -1])
PLAIN_CONVOLUTIONS = {1: _aten.conv1d.default, 2: _aten.conv2d.default, 3: _aten.conv3d.default}
"""By the number of axes the kernel moves along."""
NAMED_PADDING = {_aten.conv1d.padding, _aten.conv2d.padding, _aten.conv3d.padding}
PRODUCTS = {_aten.matmul.default, _aten.mm.default}
ADDED_PRODUCT = _aten.addmm.default
ATTENTION = _aten.scaled_dot_product_attention.default
LOWEST = torch.finfo(torch.float32).min
"""The score of what is not attended to: no infinity, so that who attends to nothing gets numbers."""


def averages_image(module: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether `node` is ``x.mean((2, 3))`` of [B, C, H, W]."""
    if node.target is not operators.MEAN or node.kwargs.get("dtype") is not None:
        return False
    source, axes = node.args[0], node.args[1]
    if not isinstance(source, fx.Node) or not isinstance(axes, (list, tuple)):
        return False
    return tracing.rank_of(source) == 4 and sorted(axes) in SIDES


def pool_whole_image(module: fx.GraphModule, node: fx.Node) -> None:
    """Write that as a pool: engines have an int8 kernel for it."""
    keeps = len(node.args) > 2 and bool(node.args[2]) or bool(node.kwargs.get("keepdim"))
    shape = tracing.shape_of(node.args[0])[:2]
    pooled = _call(module, node, operators.POOL, (node.args[0], [1, 1]), (*shape, 1, 1))
    if not keeps:
        pooled = _call(module, node, operators.FLATTEN, (pooled, 1), shape)
    _replace(module, node, pooled)


def has_computed_weights(module: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether a layer's weight or bias is computed of parameters alone (a standardised weight, a
    parametrization), the same for all inputs."""
    if node.target not in operators.LAYERS | NAMED_PADDING:
        return False
    constants = tracing.find_constants(module.graph)
    return any(_is_computed(argument, constants) for argument in node.args[1:3])


def store_weights(module: fx.GraphModule, node: fx.Node) -> None:
    """Make what is computed a parameter of the layer."""
    constants, args = tracing.find_constants(module.graph), list(node.args)
    for position, name in ((1, "weight"), (2, "bias")):
        if len(args) > position and _is_computed(args[position], constants):
            made = tracing.compute_constant(module, args[position])
            args[position] = _stored(module, node, name, made)
    node.args = tuple(args)


def multiplies_parameter(module: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether `node` is a product of activations [..., I] and a matrix [I, O] of parameters alone."""
    parts = _product(node)
    if parts is None:
        return False
    bias, x, matrix = parts
    constants = tracing.find_constants(module.graph)
    return (
        isinstance(x, fx.Node)
        and x not in constants
        and matrix in constants
        and len(_sizes(module, matrix)) == 2
        and tracing.rank_of(x) >= 2
        and (bias is None or (bias in constants and len(_sizes(module, bias)) == 1))
    )


def as_linear(module: fx.GraphModule, node: fx.Node) -> None:
    """Write that as a linear layer with weights [O, I] of its own."""
    parts = _product(node)
    assert parts is not None
    bias, x, matrix = parts
    weight = _stored(module, node, "weight", tracing.compute_constant(module, matrix).T)
    args: tuple[Any, ...] = (x, weight)
    if bias is not None:
        made = tracing.compute_constant(module, bias).expand(_sizes(module, matrix)[1])
        args = (x, weight, _stored(module, node, "bias", made))
    _replace(module, node, _call(module, node, operators.LINEAR, args, tracing.shape_of(node)))


def pads_by_name(module: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether `node` is a convolution with the padding ``same`` or ``valid``."""
    return node.target in NAMED_PADDING and len(_sizes(module, node.args[1])) > 2


def pad_by_numbers(module: fx.GraphModule, node: fx.Node) -> None:
    """Write that with the padding in numbers; where the sides differ, zeros are added first."""
    x, weight, bias, stride, padding, dilation, groups = _filled(node.args)
    kernel = _sizes(module, weight)[2:]
    axes = len(kernel)
    stride, dilation = (
        list(one) * axes if len(one) == 1 else list(one) for one in (stride, dilation)
    )
    total = [0] * axes
    if padding == "same":
        total = [step * (size - 1) for step, size in zip(dilation, kernel, strict=True)]
    if any(size % 2 for size in total):
        more = [end for size in reversed(total) for end in (0, size % 2)]
        sizes = tracing.shape_of(x)
        x = _call(module, node, _aten.constant_pad_nd.default, (x, more, 0.0), sizes)
    args = (x, weight, bias, stride, [size // 2 for size in total], dilation, groups)
    made = _call(module, node, PLAIN_CONVOLUTIONS[axes], args, tracing.shape_of(node))
    _replace(module, node, made)


def is_plain_attention(module: fx.GraphModule, node: fx.Node) -> bool:
    """Return whether `node` is softmax(q k^T / sqrt(d) + mask) v, the mask of numbers, of what is attended to, or
    missing."""
    if node.target is not ATTENTION or node.kwargs.get("enable_gqa"):
        return False
    mask, dropout, causal = _options(node)
    if dropout or causal or (tracing.shape_of(node.args[0]) or (None,))[-1] is None:
        return False
    return mask is None or (isinstance(mask, fx.Node) and _dtype(mask) is not None)


def split_attention(module: fx.GraphModule, node: fx.Node) -> None:
    """Write that as two products and a softmax, which are quantized one by one."""
    query, key, value = node.args[:3]
    mask, _, _ = _options(node)
    shape = tracing.shape_of(query)
    scale = node.kwargs.get("scale")
    if scale is None:
        scale = 1 / math.sqrt(shape[-1] or 1)
    scores = (*shape[:-1], *tracing.shape_of(key)[-2:-1])
    turned = (*tracing.shape_of(key)[:-2], shape[-1], *scores[-1:])
    key = _call(module, node, _aten.transpose.int, (key, -2, -1), turned)
    made = _call(module, node, operators.MATMUL, (query, key), scores)
    made = _call(module, node, operators.MULTIPLY, (made, scale), scores)
    if mask is not None and _dtype(mask) is torch.bool:
        made = _call(module, node, _aten.where.ScalarOther, (mask, made, LOWEST), scores)
    elif mask is not None:
        made = _call(module, node, operators.ADD, (made, mask), scores)
    made = _call(module, node, _aten.softmax.int, (made, -1), scores)
    made = _call(module, node, operators.MATMUL, (made, value), tracing.shape_of(node))
    _replace(module, node, made)


def _dtype(node: fx.Node) -> torch.dtype | None:
    kind = node.meta.get(tracing.DTYPE)
    return kind if isinstance(kind, torch.dtype) else None


def _options(node: fx.Node) -> tuple[Any, Any, Any]:
    """Mask, rate of dropout, and whether it looks back alone."""
    usual: tuple[Any, ...] = (None, 0.0, False)
    given = (*node.args[3:6], *usual[len(node.args) - 3 :])
    names = ("attn_mask", "dropout_p", "is_causal")
    mask, dropout, causal = (
        node.kwargs.get(name, value) for name, value in zip(names, given, strict=True)
    )
    return mask, dropout, causal


def _product(node: fx.Node) -> tuple[fx.Node | None, fx.Node, fx.Node] | None:
    """Bias, activations and matrix of a product; None for anything else."""
    found: tuple[Any, ...]
    if node.target in PRODUCTS:
        found = (None, *node.args[:2])
    elif node.target is ADDED_PRODUCT and not node.kwargs:
        found = node.args[:3]
    else:
        return None
    bias, x, matrix = found
    return (bias, x, matrix) if isinstance(matrix, fx.Node) else None


def _is_computed(argument: object, constants: set[fx.Node]) -> bool:
    return isinstance(argument, fx.Node) and argument.op != "get_attr" and argument in constants


def _sizes(module: fx.GraphModule, node: Any) -> tuple[int, ...]:
    """Of a constant tensor."""
    held = tracing.get_parameter(module, node)
    if held is not None:
        return tuple(held.shape)
    return tuple(size for size in tracing.shape_of(node) if size is not None)


def _filled(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """All arguments of a convolution."""
    usual = (None, None, None, [1], "valid", [1], 1)
    return (*args, *usual[len(args) :])


def _stored(module: fx.GraphModule, node: fx.Node, name: str, made: Tensor) -> fx.Node:
    """A node that reads `made`, stored as a parameter where `node` came from."""
    target = tracing.free_name(module, tracing.path_of(node), name)
    tracing.set_parameter(module, target, made)
    return tracing.read_parameter(module, node, target)


def _call(
    module: fx.GraphModule,
    before: fx.Node,
    target: Any,
    args: tuple[Any, ...],
    shape: tuple[int | None, ...],
) -> fx.Node:
    with module.graph.inserting_before(before):
        made = module.graph.call_function(target, args)
    made.meta = {**tracing.place_of(before), tracing.SHAPE: shape}
    return made


def _replace(module: fx.GraphModule, node: fx.Node, made: fx.Node) -> None:
    node.replace_all_uses_with(made)
    module.graph.erase_node(node)

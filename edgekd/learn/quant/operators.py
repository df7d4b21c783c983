"""What the ATen operators are to a quantizer: plain tables."""

from __future__ import annotations

import operator

import torch
from torch import fx

_aten = torch.ops.aten

BATCH_NORM = _aten.batch_norm.default
LAYER_NORM = _aten.layer_norm.default
EMBEDDING = _aten.embedding.default
GELU = _aten.gelu.default
SOFTMAX = {_aten.softmax.int, _aten._softmax.default}
CONVOLUTIONS = {_aten.conv1d.default, _aten.conv2d.default, _aten.conv3d.default}
LINEAR = _aten.linear.default
MEAN = _aten.mean.dim
POOL = _aten.adaptive_avg_pool2d.default
FLATTEN = _aten.flatten.using_ints
MATMUL = _aten.matmul.default
TRANSPOSE = _aten.transpose.int
ADD = _aten.add.Tensor
GETITEM = operator.getitem
HARD_SWISH_CALL = _aten.hardswish.default
HARD_SWISH = {HARD_SWISH_CALL, _aten.hardswish_.default}
HARD_SIGMOID = _aten.hardsigmoid.default
MULTIPLY = _aten.mul.Tensor
LAYERS = CONVOLUTIONS | {LINEAR}
"""Multiply activations by weights of their own: (input, weight [O, ...], bias or None, ...)."""

FLOAT_PRODUCTS = {
    "addmm",
    "baddbmm",
    "bilinear",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "einsum",
    "gru",
    "lstm",
    "mm",
    "scaled_dot_product_attention",
    "wrap_with_autocast",
    "wrap_with_set_grad_enabled",
}
"""Plain names of operators that multiply, or hold those that do, and have no int8 form here."""

MATMULS = {_aten.matmul.default, _aten.bmm.default}
"""Multiply two activations."""

FUSED = {_aten.relu.default, _aten.relu_.default}
"""What an engine does for nothing while it rounds: the quantizer stands after it."""
BOUNDED = {_aten.hardtanh.default, _aten.hardtanh_.default, _aten.relu6.default}
"""So too, if their lower bound is 0."""
HARD_TANH_LOWER = -1.0
"""What hardtanh has if none is written."""
CLAMPS = {_aten.clamp.default, _aten.clamp_min.default}
"""And these, which may lack a bound."""

GATES = {_aten.sigmoid.default, HARD_SIGMOID}
"""Give values in [0, 1]; int8 in engines that round every output, float in the others."""
IN_UNIT_RANGE = SOFTMAX | GATES

BINARY = {_aten.add.Tensor, _aten.add_.Tensor, _aten.mul.Tensor, _aten.mul_.Tensor}
SCORING = BINARY | {
    _aten.div.Tensor,
    _aten.sub.Tensor,
    _aten.where.self,
    _aten.where.ScalarOther,
    _aten.masked_fill.Scalar,
    _aten.masked_fill.Tensor,
    _aten.tanh.default,
    _aten.to.dtype,
    _aten._to_copy.default,
}
"""What scales and masks the scores of an attention."""
LIGHT = BINARY | {
    _aten.cat.default,
    POOL,
    _aten.avg_pool2d.default,
}
"""Cheap: run in int8 only between int8 neighbours, since it does not pay to convert for them."""

PASSING = {
    _aten.flatten.using_ints,
    _aten.unflatten.int,
    _aten.view.default,
    _aten.view_as.default,
    _aten.reshape.default,
    _aten.reshape_as.default,
    _aten.permute.default,
    _aten.movedim.int,
    _aten.movedim.intlist,
    _aten.swapaxes.default,
    _aten.t.default,
    _aten.transpose.int,
    _aten.pixel_shuffle.default,
    _aten.pixel_unshuffle.default,
    _aten.channel_shuffle.default,
    _aten.roll.default,
    _aten.flip.default,
    _aten.unsqueeze.default,
    _aten.squeeze.default,
    _aten.squeeze.dim,
    _aten.squeeze.dims,
    _aten.slice.Tensor,
    _aten.narrow.default,
    _aten.select.int,
    _aten.expand.default,
    _aten.expand_as.default,
    _aten.repeat.default,
    _aten.contiguous.default,
    _aten.clone.default,
    _aten.alias.default,
    _aten.detach.default,
    _aten.dropout.default,
    _aten.feature_dropout.default,
    _aten.alpha_dropout.default,
    _aten.max_pool1d.default,
    _aten.max_pool2d.default,
    _aten.max_pool3d.default,
    _aten.upsample_nearest2d.vec,
    _aten.chunk.default,
    _aten.unbind.int,
    _aten.split.Tensor,
    _aten.split_with_sizes.default,
    operator.getitem,
}
"""Move values or pick among them: quantized values stay on their grid."""

REORDERING = {
    _aten.flatten.using_ints,
    _aten.unflatten.int,
    _aten.view.default,
    _aten.reshape.default,
    _aten.permute.default,
    _aten.movedim.int,
    _aten.movedim.intlist,
    _aten.swapaxes.default,
    _aten.transpose.int,
    _aten.contiguous.default,
    _aten.clone.default,
}
"""Give each value once, in another order or shape."""

PADS = {_aten.pad.default, _aten.constant_pad_nd.default}
"""Move values too, unless they put another number than 0 beside them."""

VANISHING = {
    _aten.contiguous.default,
    _aten.clone.default,
    _aten.alias.default,
    _aten.detach.default,
    _aten.dropout.default,
}
"""Those of `PASSING` that no exported graph holds."""

TAKES_LIST = {_aten.cat.default}


def is_passing(node: fx.Node) -> bool:
    """Return whether `node` is of `PASSING`; one of several results is, if what gives them is."""
    if node.target is GETITEM:
        return isinstance(node.args[0], fx.Node) and node.args[0].target in PASSING
    if node.target in PADS:
        beside = (*node.args[2:], *node.kwargs.values())
        return not any(isinstance(arg, int | float) and arg for arg in beside)
    return node.target in PASSING


def is_fused(node: fx.Node) -> bool:
    """Return whether `node` costs nothing in front of a quantizer."""
    if node.target in BOUNDED:
        stated = node.kwargs.get("min_val", HARD_TANH_LOWER)
        lower = node.args[1] if len(node.args) > 1 else stated
        return node.target is _aten.relu6.default or lower == 0
    if node.target in CLAMPS:
        lower = node.args[1] if len(node.args) > 1 else node.kwargs.get("min")
        return lower == 0
    return node.target in FUSED


def find_activations(node: fx.Node) -> list[fx.Node]:
    """The nodes whose values `node` computes with; its weights and shapes are not among them."""
    if node.target in LAYERS:
        found = [node.args[0]]
    elif node.target in TAKES_LIST and isinstance(node.args[0], (list, tuple)):
        found = list(node.args[0])
    elif node.target in MATMULS or node.target in LIGHT:
        found = [arg for arg in node.args[:2] if isinstance(arg, fx.Node)]
    else:
        found = [arg for arg in node.args if isinstance(arg, fx.Node)][:1]
    return [arg for arg in found if isinstance(arg, fx.Node) and arg.op != "get_attr"]


def is_light(node: fx.Node) -> bool:
    """Return whether `node` is of `LIGHT` and computes with activations alone, over whole images."""
    if node.target not in LIGHT:
        return False
    if node.target in BINARY:
        return len(find_activations(node)) == 2
    if node.target is POOL:
        return list(node.args[1]) == [1, 1]
    return True

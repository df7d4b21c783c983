"""Batch norms after a convolution or a linear layer go into its weights and bias.

Quantized before they are folded, a graph is three times slower in ONNX Runtime, and its statistics
would move under the quantizers.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch import fx

from edgekd.learn.quant import tracing
from edgekd.learn.quant.operators import BATCH_NORM
from edgekd.learn.quant.operators import LAYERS
from edgekd.learn.quant.operators import LINEAR


def can_fold(module: fx.GraphModule, norm: fx.Node) -> bool:
    """Return whether `norm` is a batch norm by stored statistics over the output channels of a layer that it
    alone reads, whose weight nobody else reads."""
    if norm.target is not BATCH_NORM or norm.args[5]:
        return False
    layer = norm.args[0]
    if not isinstance(layer, fx.Node) or layer.target not in LAYERS or len(layer.users) != 1:
        return False
    weight, source = tracing.get_parameter(module, layer.args[1]), layer.args[1]
    if weight is None or not isinstance(source, fx.Node) or len(source.users) != 1:
        return False
    bias = layer.args[2] if len(layer.args) > 2 else None
    statistics = [tracing.get_parameter(module, norm.args[i]) for i in (3, 4)]
    return (
        _channels_are_second(layer, weight)
        and (bias is None or tracing.get_parameter(module, bias) is not None)
        and all(one is not None and len(one) == len(weight) for one in statistics)
    )


def _channels_are_second(layer: fx.Node, weight: Tensor) -> bool:
    """Return whether the output channels lie on axis 1, over which a batch norm goes: behind a linear layer
    only if its output is [B, O], behind a convolution only if its input has a batch axis."""
    wanted = 2 if layer.target is LINEAR else weight.ndim
    return tracing.rank_of(layer) == wanted


def fold(module: fx.GraphModule, norm: fx.Node) -> None:
    """Put one batch norm that `can_fold` into its layer, in place.

    The layer gets a bias of a name of its own, so that whoever reads the old one goes on reading it.
    """
    layer, epsilon = norm.args[0], norm.args[7]
    assert isinstance(layer, fx.Node) and isinstance(epsilon, float)
    gain, shift, mean, variance = (
        tracing.get_parameter(module, norm.args[i]) for i in (1, 2, 3, 4)
    )
    weight = tracing.get_parameter(module, layer.args[1])
    old = layer.args[2] if len(layer.args) > 2 else None
    bias = tracing.get_parameter(module, old)
    assert weight is not None and mean is not None and variance is not None
    new_weight, new_bias = fold_weights(weight, bias, gain, shift, mean, variance, epsilon)
    name = str(layer.args[1].target)
    tracing.set_parameter(module, name, new_weight)
    if isinstance(old, fx.Node) and len(old.users) == 1:
        tracing.set_parameter(module, str(old.target), new_bias)
    else:
        target = tracing.free_name(module, name.rpartition(".")[0], "bias")
        tracing.set_parameter(module, target, new_bias)
        read = tracing.read_parameter(module, layer, target)
        layer.args = (*layer.args[:2], read, *layer.args[3:])
    norm.replace_all_uses_with(layer)
    module.graph.erase_node(norm)


def fold_weights(
    weight: Tensor,
    bias: Tensor | None,
    gain: Tensor | None,
    shift: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    epsilon: float,
) -> tuple[Tensor, Tensor]:
    """Return weight [O, ...] and bias [O] of one layer that computes what layer and batch norm did.

    w' = w g / sqrt(v + e), b' = (b - m) g / sqrt(v + e) + s (Jacob et al. 2018, sec. 3.2), in float64.
    """
    factor = (variance.double() + epsilon).rsqrt()
    if gain is not None:
        factor = factor * gain.double()
    old = torch.zeros_like(mean, dtype=torch.float64) if bias is None else bias.double()
    new = (old - mean.double()) * factor
    if shift is not None:
        new = new + shift.double()
    shape = (-1, *[1] * (weight.ndim - 1))
    return (weight.double() * factor.reshape(shape)).to(weight.dtype), new.to(weight.dtype)

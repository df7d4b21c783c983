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


def fold(module: fx.GraphModule) -> list[str]:
    """Fold all that can be, in place: the same answers, without the batch norms.

    Returns:
        Module paths of batch norms that stay, since what they follow is no layer of their own.
    """
    left = []
    for node in list(module.graph.nodes):
        if node.target is BATCH_NORM and not _folded(module, node):
            left.append(tracing.path_of(node))
    module.graph.lint()
    module.recompile()
    module.delete_all_unused_submodules()
    return left


def _folded(module: fx.GraphModule, norm: fx.Node) -> bool:
    layer = norm.args[0]
    if not isinstance(layer, fx.Node) or layer.target not in LAYERS or len(layer.users) != 1:
        return False
    weight = tracing.parameter(module, layer.args[1])
    source = layer.args[1]
    mean, variance = (tracing.parameter(module, norm.args[i]) for i in (3, 4))
    if weight is None or mean is None or variance is None or not isinstance(source, fx.Node):
        return False
    if len(source.users) != 1:  # a weight that another layer shares
        return False
    gain, shift = (tracing.parameter(module, norm.args[i]) for i in (1, 2))
    epsilon = norm.args[7]
    assert isinstance(epsilon, float)
    bias = tracing.parameter(module, layer.args[2]) if len(layer.args) > 2 else None
    new_weight, new_bias = folded(weight, bias, gain, shift, mean, variance, epsilon)
    name = str(source.target)
    tracing.set_parameter(module, name, new_weight)
    _set_bias(module, layer, f"{name.rpartition('.')[0]}.bias".lstrip("."), new_bias)
    norm.replace_all_uses_with(layer)
    reads = [arg for arg in norm.args if isinstance(arg, fx.Node) and arg.op == "get_attr"]
    module.graph.erase_node(norm)
    for read in reads:
        if not read.users:
            module.graph.erase_node(read)
    return True


def folded(
    weight: Tensor,
    bias: Tensor | None,
    gain: Tensor | None,
    shift: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    epsilon: float,
) -> tuple[Tensor, Tensor]:
    """Weight [O, ...] and bias [O] of one layer that does what layer and batch norm did.

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


def _set_bias(module: fx.GraphModule, layer: fx.Node, name: str, value: Tensor) -> None:
    tracing.set_parameter(module, name, value)
    with module.graph.inserting_before(layer):
        node = module.graph.get_attr(name)
    node.meta = {tracing.MODULE_PATH: tracing.path_of(layer)}
    old = layer.args[2] if len(layer.args) > 2 else None
    layer.args = (*layer.args[:2], node, *layer.args[3:])
    if isinstance(old, fx.Node) and not old.users:
        module.graph.erase_node(old)

"""Biases as an engine holds them that adds up in int32: a whole number of products of two steps.

ONNX Runtime adds a convolution's bias to the sum of its products before it scales both, so it rounds the bias to such
a number; torch adds it as it is. Both are right, and how far their answers are apart is what rounding alone does to a
network: a deep one makes of a code here and there another logit. Wrong is only a number that does not fit: a channel
of hardly any weight has steps so small that its bias would run over, and ONNX Runtime says nothing.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch import fx

from edgekd.learn.quant import insertion
from edgekd.learn.quant import operators
from edgekd.learn.quant import sensitivity
from edgekd.learn.quant import tracing
from edgekd.learn.quant.quantizer import WeightQuantizer

LARGEST = 2.0**30
"""Of a bias, in products; the sums of products have as much room again."""


def round_biases(model: fx.GraphModule) -> fx.GraphModule:
    """Copy `model`, each quantized layer's bias rounded to whole products of its input's and its weights' steps.

    Args:
        model: quantized, its ranges set; left as it is.
    """
    copied = copy.deepcopy(model)
    weights = insertion.find_weight_quantizers(copied)
    with torch.no_grad():
        for node in copied.graph.nodes:
            name, bias = sensitivity.find_weight_name(copied, node), find_bias(copied, node)
            site = sensitivity.find_input_quantizer(copied, node) if name else None
            if name and bias is not None and site is not None:
                product = weights[name].log_step.exp() * site.step()
                bias.copy_((bias / product).round() * product)
    return copied


def widen_steps(module: fx.GraphModule, layer: fx.Node, quantizer: WeightQuantizer) -> None:
    """Widen, in place, the weight steps of those channels of a convolution whose bias would be more than `LARGEST`;
    their weights are nothing beside it, whatever they are rounded to.

    Args:
        module: quantized, its ranges set.
        layer: a layer whose products are added up.
        quantizer: of its weights.
    """
    bias, site = find_bias(module, layer), sensitivity.find_input_quantizer(module, layer)
    if layer.target not in operators.CONVOLUTIONS or bias is None or site is None:
        return
    with torch.no_grad():
        least = bias.abs() / (LARGEST * site.step())
        narrow = quantizer.log_step.exp() < least
        quantizer.log_step.copy_(torch.where(narrow, least.log(), quantizer.log_step))


def find_bias(module: fx.GraphModule, node: fx.Node) -> Tensor | None:
    """Find the bias [O] of a layer; None if it has none of its own."""
    if node.target not in operators.LAYERS or len(node.args) < 3:
        return None
    return tracing.get_parameter(module, node.args[2])

"""Biases that undo the mean error of rounded weights and inputs (Nagel et al. 2019, arXiv:1906.04721,
sec. 4.2; measured on data, not derived)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import fx

from edgekd.learn.model_inputs import Inputs
from edgekd.learn.quant import calibration
from edgekd.learn.quant import operators
from edgekd.learn.quant import tracing


def correct_biases(module: fx.GraphModule, inputs: Inputs) -> None:
    """Shift the bias of every layer that has one, in the order they run, in place.

    Args:
        module: quantized, its ranges set.
        inputs: each [B, ...]; one batch, since each layer's error is measured behind those before it.
    """
    with torch.no_grad():
        means = _Means(module)
        with calibration.disable_quantizers(module):
            means.run(*inputs)
        _Correction(module, means.found).run(*inputs)


def channel_means(node: fx.Node, output: Tensor) -> Tensor:
    """Mean of each output channel [O] of a layer's output."""
    if node.target is operators.LINEAR:
        return output.flatten(0, -2).mean(0, dtype=torch.float64)
    # a sample and channel at a time in float32: a copy of it all in float64 takes longer than the layer
    return output.flatten(2).mean(2).mean(0, dtype=torch.float64)


class _Means(fx.Interpreter):
    """Runs a model and keeps the mean of each output channel of its layers."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.found: dict[fx.Node, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        output = super().run_node(n)
        if n.target in operators.LAYERS:
            self.found[n] = channel_means(n, output)
        return output


class _Correction(fx.Interpreter):
    """Runs a quantized model and moves each layer's bias before going on."""

    def __init__(self, module: fx.GraphModule, want: dict[fx.Node, Tensor]) -> None:
        super().__init__(module)
        self.graph_module, self.want = module, want

    def run_node(self, n: fx.Node) -> Any:
        output = super().run_node(n)
        if n.target not in operators.LAYERS or len(n.args) < 3:
            return output
        bias = tracing.get_parameter(self.graph_module, n.args[2])
        if bias is None:
            return output
        shift = (self.want[n] - channel_means(n, output)).to(bias.dtype)
        bias.add_(shift)
        shape = [-1] if n.target is operators.LINEAR else [-1, *[1] * (output.ndim - 2)]
        return output + shift.reshape(shape)

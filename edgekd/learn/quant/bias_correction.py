"""Biases that undo the mean error of rounded weights and inputs (Nagel et al. 2019, arXiv:1906.04721,
sec. 4.2; measured on data, not derived)."""

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor
from torch import fx

from edgekd.learn.forward_pass import switch_off
from edgekd.learn.model_inputs import Inputs
from edgekd.learn.quant import calibration
from edgekd.learn.quant import operators
from edgekd.learn.quant import tracing


def correct_biases(module: fx.GraphModule, inputs: Inputs, mask: Tensor | None = None) -> None:
    """Shift the bias of every layer that has one of its own, in the order they run, in place.

    Args:
        module: quantized, its ranges set.
        inputs: each [B, ...]; one batch, since each layer's error is measured behind those before it.
        mask: [B, N], 0 where a text is padding, which does not count; None where nothing is.
    """
    quantizers = calibration.find_quantizers(module)
    exact, rounded = (fx.Interpreter(module) for _ in range(2))
    for side in (exact, rounded):
        side.args_iter = iter(inputs)
    biases = {
        node: bias for node in module.graph.nodes if (bias := _find_bias(module, node)) is not None
    }
    used = Counter(map(id, biases.values()))
    with torch.no_grad():
        for node in module.graph.nodes:
            with switch_off(quantizers):
                want = exact.run_node(node)
            got = rounded.run_node(node)
            bias = biases.get(node)
            if bias is not None and used[id(bias)] == 1:
                shift = find_shift(node, want - got, mask).to(bias.dtype)
                bias.add_(shift)
                shape = [-1] if node.target is operators.LINEAR else [-1, *[1] * (got.ndim - 2)]
                got = got + shift.reshape(shape)
            exact.env[node], rounded.env[node] = want, got
            for side in (exact, rounded):
                for last in side.user_to_last_uses.get(node, []):
                    del side.env[last]


def find_shift(node: fx.Node, error: Tensor, mask: Tensor | None = None) -> Tensor:
    """What each output channel [O] of a layer is off by: the mean over samples and places, of the tokens of texts the median.

    A few tokens of an encoder, those that begin and end a text, have values far beyond all others and are clipped: the mean
    would be theirs, and shift every other token by many times its own error. In a batch of short texts they may be a quarter.

    Args:
        node: the layer.
        error: its output in float less its output as it is.
        mask: [B, N], 0 where a text is padding.
    """
    if node.target is not operators.LINEAR:
        # a sample and channel at a time in float32: a copy of it all in float64 takes longer than the layer
        return error.flatten(2).mean(2).mean(0, dtype=torch.float64)
    if error.ndim == 2:
        return error.mean(0, dtype=torch.float64)
    is_of_text = mask is not None and error.ndim == 3 and error.shape[:2] == mask.shape
    rows = error[mask != 0] if is_of_text and mask is not None else error.flatten(0, -2)
    return rows.median(0).values


def _find_bias(module: fx.GraphModule, node: fx.Node) -> Tensor | None:
    if node.target not in operators.LAYERS or len(node.args) < 3:
        return None
    return tracing.get_parameter(module, node.args[2])

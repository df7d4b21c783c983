"""A model with its weights in blocks as a module whose export engines run so.

A linear layer becomes ``com.microsoft::MatMulNBits``, which ONNX Runtime runs and OpenVINO reads as compressed weights;
a table a Gather of codes, in operators that every engine has. Accuracy level 4 lets products be of int8: the inputs of
a block of weights are rounded to 8 bits by their largest, in the engine. That is what makes it fast, and what
`round_inputs` does in torch.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.weight_only import insertion
from edgekd.learn.weight_only.formats import BlockFormat
from edgekd.learn.weight_only.insertion import BlockLayer

OPERATOR = "com.microsoft::MatMulNBits"
INT8_PRODUCTS = 4
"""Its accuracy level: inputs are rounded to int8, a scale a block."""
LARGEST_INPUT = 127
"""The largest code of an input so rounded."""


def prepare_export(model: nn.Module) -> nn.Module:
    """Copy `model` to one that exports to stored blocks.

    Raises:
        ValueError: if no weights of it are in blocks.
    """
    if not insertion.has_quantizers(model):
        raise ValueError("got a model without weights in blocks, want one that was quantized so")
    copied = copy.deepcopy(model).cpu().float().eval()
    for name, layer in insertion.find_layers(copied).items():
        stored = StoredLinear(layer) if isinstance(layer.module, nn.Linear) else StoredTable(layer)
        insertion.replace_module(copied, name, stored)
    return copied


def round_inputs(model: nn.Module) -> nn.Module:
    """Copy `model` to one with rounded weights whose linear layers round what they take to int8 as engines do."""
    formats = {
        name: layer.quantizer.format
        for name, layer in insertion.find_layers(model).items()
        if isinstance(layer.module, nn.Linear)
    }
    baked = insertion.bake_weights(model)
    for name, form in formats.items():
        baked.get_submodule(name).register_forward_pre_hook(
            lambda _module, taken, group=form.group: (_round_input(taken[0], group),)
        )
    return baked


def _round_input(x: Tensor, group: int) -> Tensor:
    blocks = x.unflatten(-1, (-1, group))
    step = blocks.abs().amax(-1, keepdim=True) / LARGEST_INPUT
    codes = torch.where(step > 0, blocks / step.clamp_min(1e-30), 0).round()
    return (codes * step).flatten(-2)


class StoredLinear(nn.Module):
    """A linear layer as MatMulNBits, its bias added; runs in an export alone."""

    def __init__(self, layer: BlockLayer) -> None:
        super().__init__()
        linear, quantizer = layer.module, layer.quantizer
        assert isinstance(linear, nn.Linear)
        self.form: BlockFormat = quantizer.format
        self.in_features, self.out_features = linear.in_features, linear.out_features
        codes, zeros = quantizer.codes(layer.weight), quantizer.zero
        if self.form.bits == 4:
            codes, zeros = pack_pairs(codes), pack_pairs(zeros)
        self.register_buffer("codes", codes)
        self.register_buffer("scales", quantizer.scales())
        self.register_buffer("zeros", None if self.form.symmetric else zeros)
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        inputs = [x, self.codes, self.scales]
        if self.zeros is not None:
            inputs.append(self.zeros)
        made: Tensor = torch.onnx.ops.symbolic(
            OPERATOR,
            inputs,
            attrs={
                "K": self.in_features,
                "N": self.out_features,
                "bits": self.form.bits,
                "block_size": self.form.group,
                "accuracy_level": INT8_PRODUCTS,
            },
            dtype=torch.float32,
            shape=(*x.shape[:-1], self.out_features),
            version=1,
        )
        return made if self.bias is None else made + self.bias


class StoredTable(nn.Module):
    """A table whose rows are codes until they are looked up."""

    def __init__(self, layer: BlockLayer) -> None:
        super().__init__()
        quantizer = layer.quantizer
        self.middle = float(quantizer.format.middle)
        self.register_buffer("codes", quantizer.codes(layer.weight))
        self.register_buffer("scales", quantizer.scales().unsqueeze(-1))

    def forward(self, indices: Tensor) -> Tensor:
        rows = (self.codes[indices].float() - self.middle) * self.scales[indices]
        return rows.flatten(-2)


def pack_pairs(codes: Tensor) -> Tensor:
    """Codes [..., n] of 4 bits two a byte, the first in the low half: uint8 [..., ceil(n / 2)]."""
    if codes.shape[-1] % 2:
        codes = nn.functional.pad(codes, (0, 1))
    return codes[..., 0::2] | (codes[..., 1::2] << 4)

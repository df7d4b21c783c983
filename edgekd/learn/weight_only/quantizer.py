"""Fake quantization of a weight in blocks, with scales that learn (LSQ: Esser et al. 2020, arXiv:1902.08153, eq. 3).

A scale is kept as the logarithm of its size: it stays off 0, and a step moves it by a part of itself. Its sign is
kept beside it where blocks are symmetric: codes reach one further below the middle than above, and a negative scale
turns that side to the block's largest weight.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.weight_only.formats import BlockFormat
from edgekd.learn.weight_only.formats import round_blocks
from edgekd.learn.weight_only.formats import split_blocks

SMALLEST_SCALE = 2.0**-40
"""Of a block of zeros: any does, and none may be 0."""


class _RoundBlocks(torch.autograd.Function):
    """y = (clamp(round(w / s) + z, 0, high) - z) s; the gradient for s is that of log |s|, s dy/ds."""

    @staticmethod
    def forward(ctx: Any, blocks: Tensor, scale: Tensor, zero: Tensor, high: int) -> Tensor:
        codes = torch.div(blocks, scale).round_().add_(zero)
        inside = (codes >= 0) & (codes <= high)
        rounded = codes.clamp_(0, high).sub_(zero).mul_(scale)
        ctx.save_for_backward(
            torch.addcmul(rounded, blocks, inside.to(blocks.dtype), value=-1), inside
        )
        return rounded

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        error, inside = ctx.saved_tensors
        (gradient,) = gradients
        to_scale = (gradient * error).sum(-1, keepdim=True) if ctx.needs_input_grad[1] else None
        return gradient * inside, to_scale, None, None


class _ScaleOfLog(torch.autograd.Function):
    """s = sign exp(u), whose gradient is passed on to u as it is: `_RoundBlocks` gives that of u."""

    @staticmethod
    def forward(ctx: Any, log_scale: Tensor, sign: Tensor) -> Tensor:
        return sign * log_scale.exp()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0], None


class BlockQuantizer(nn.Module):
    """The scales, signs and zero-points of one weight [N, K], a block of `format.group` each; rounds it.

    Attributes:
        format: how it is stored.
        enabled: whether it rounds; else the weight goes through as it is.
    """

    log_scale: nn.Parameter
    sign: Tensor
    zero: Tensor

    def __init__(self, shape: tuple[int, int], form: BlockFormat) -> None:
        super().__init__()
        self.format, self.enabled = form, True
        size = (shape[0], shape[1] // form.group)
        self.log_scale = nn.Parameter(torch.zeros(size))
        self.register_buffer("sign", torch.ones(size, dtype=torch.int8))
        self.register_buffer("zero", torch.full(size, form.middle, dtype=torch.uint8))

    def forward(self, weight: Tensor) -> Tensor:
        if not self.enabled:
            return weight
        blocks = split_blocks(weight, self.format.group)
        sign = self.sign.to(weight.dtype)
        scale = _ScaleOfLog.apply(self.log_scale.to(weight.dtype), sign).unsqueeze(-1)
        zero = self.zero.to(weight.dtype).unsqueeze(-1)
        rounded: Tensor = _RoundBlocks.apply(blocks, scale, zero, self.format.high)
        return rounded.flatten(1)

    def set_scales(self, scales: Tensor, zeros: Tensor | None = None) -> None:
        """Signed scales [N, K / group]; zero-points of the same shape, where blocks have their own."""
        with torch.no_grad():
            self.log_scale.copy_(scales.abs().clamp_min(SMALLEST_SCALE).log())
            self.sign.copy_(torch.where(scales < 0, -1, 1))
            if zeros is not None:
                self.zero.copy_(zeros)

    def scales(self) -> Tensor:
        """Signed scales [N, K / group], float32."""
        return self.log_scale.detach().float().exp() * self.sign

    def codes(self, weight: Tensor) -> Tensor:
        """uint8 codes [N, K / group, group] of `weight` [N, K]."""
        blocks = split_blocks(weight.detach().float(), self.format.group)
        zero = self.zero.float().unsqueeze(-1)
        return round_blocks(blocks, self.scales().unsqueeze(-1), zero, self.format.high).to(
            torch.uint8
        )

    def extra_repr(self) -> str:
        form = self.format
        return f"{form.bits} bits, blocks of {form.group}, symmetric={form.symmetric}"

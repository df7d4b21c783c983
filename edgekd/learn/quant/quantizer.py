"""Fake quantization with step sizes that learn (LSQ: Esser et al. 2020, arXiv:1902.08153).

A step s is kept as its logarithm u = log s (Jain et al. 2020, arXiv:1903.08066): it stays positive, and an
update of u is a relative move of s. LSQ's gradient scale 1 / sqrt(N Q), N values and Q the largest code, is for
dL/ds; this is its aim (sec. 2.2: a step of SGD moves s and what it rounds by like relative amounts) for dL/du.

Weights w, a step a channel. At the rate r, w moves by r |dL/dw| / |w|, and s by r k |dL/du|, k being the scale.
dL/du is the sum over N weights of dL/dy dy/du, a rounding error each (LSQ eq. 3), hardly correlated with dL/dy:
its size is |dL/dw| rms(dy/du). Hence k = 1 / (|w| rms(dy/du)), whatever the bits and however much is clipped. |w| is
the root mean square over the layer's channels: one of almost no weight must not be thrown about.

Activations x are no parameters. What moves them is a gain g before them, and dL/d(log g), a sum of
dL/dx x, has no unit of x; nor may the move of u. LSQ takes |x| for s sqrt(N Q), which makes k
= 1 / (s^2 sqrt(N Q)) of the rule above with rms(dy/du) = s; times the mean square s^2 Q of x, so that a tensor whose
mean square is 1 moves as in LSQ and any other as that one, it is k = sqrt(Q / N).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch import nn

SMALLEST_STEP = 2.0**-40
"""Of a tensor that is always 0: any step does, and no engine takes a step of 0."""
SMALLEST_NORM = 2.0**-20
"""Least norm that a channel's weights count as: a layer of zeros must not be thrown about either."""


class _Round(torch.autograd.Function):
    """y = (clamp(round(x / s) + z, low, high) - z) s, ties to even.

    The gradient for s is that of log s, s dy/ds, times `scale`; None: that of weights.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        log_step: Tensor,
        zero: Tensor,
        low: int,
        high: int,
        scale: float | None,
    ) -> Tensor:
        step, zero = log_step.exp().to(x.dtype), zero.to(x.dtype)
        shifted = torch.div(x, step).round_().add_(zero)
        y = shifted.clamp(low, high)
        inside = shifted.eq_(
            y
        )  # 1 where nothing was cut off, in the type of x: no conversion later
        y = y.sub_(zero).mul_(step)
        # LSQ eq. 3: s dy/ds = y - x inside the range, y outside
        error = torch.addcmul(y, x, inside, value=-1)
        ctx.save_for_backward(error, inside)
        ctx.scale = _weight_scale(x, error) if scale is None else scale
        ctx.shape = step.shape
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        error, inside = ctx.saved_tensors
        (gradient,) = gradients
        to_x = gradient * inside
        if not ctx.needs_input_grad[1]:
            return to_x, None, None, None, None, None
        error = error * gradient
        if ctx.shape:
            dims = [axis for axis, size in enumerate(ctx.shape) if size == 1]
            total = error.sum(dims, keepdim=True, dtype=torch.float32)
        else:
            total = error.sum(dtype=torch.float32)
        return to_x, total * ctx.scale, None, None, None, None


def _rounded(
    x: Tensor, log_step: Tensor, zero: Tensor, low: int, high: int, scale: float | None
) -> Tensor:
    """As `_Round`; where nothing learns, in one copy of `x`."""
    if torch.is_grad_enabled():
        made: Tensor = _Round.apply(x, log_step, zero, low, high, scale)
        return made
    step, zero = log_step.exp().to(x.dtype), zero.to(x.dtype)
    codes = torch.div(x, step).round_().add_(zero).clamp_(low, high)
    return codes.sub_(zero).mul_(step)


def _weight_scale(weight: Tensor, error: Tensor) -> Tensor:
    """k of the module's docstring for weights [O, ...]: [O, 1, ...], float32.

    Args:
        weight: what is rounded.
        error: dy/du, of the same shape.
    """
    dims = list(range(1, weight.ndim))
    each = error.float().square().mean(dims, keepdim=True).sqrt().clamp_min(SMALLEST_STEP)
    norm = (weight.float().square().sum() / len(weight)).sqrt().clamp_min(SMALLEST_NORM)
    return 1 / (each * norm)


class ActivationQuantizer(nn.Module):
    """One step and one zero-point for a tensor.

    Attributes:
        path: where in the model it stands.
        low: smallest code.
        high: largest code.
        learns: whether its step is trained.
        enabled: whether it rounds; else the tensor goes through as it is.
    """

    log_step: nn.Parameter
    zero: Tensor
    low: int
    high: int

    def __init__(self, path: str, *, symmetric: bool, bits: int = 8, learns: bool = True) -> None:
        super().__init__()
        self.path, self.symmetric, self.learns, self.enabled = path, symmetric, learns, True
        half = 2 ** (bits - 1)
        self.low, self.high = (-half, half - 1) if symmetric else (0, 2 * half - 1)
        self.log_step = nn.Parameter(torch.zeros(()), requires_grad=learns)
        self.register_buffer("zero", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if not self.enabled:
            return x
        scale = math.sqrt(self.high / x[0].numel())  # N of one sample, as in LSQ
        return _rounded(x, self.log_step, self.zero, self.low, self.high, scale)

    def set_range(self, least: float, most: float) -> None:
        """Cover [least, most] and 0, which has a code of its own.

        A tensor that is always 0 gets the smallest step.
        """
        least, most = min(least, 0.0), max(most, 0.0)
        if self.symmetric:
            step, zero = max(-least / -self.low, most / self.high), 0
        else:
            step = (most - least) / self.high
            zero = 0 if step == 0 else round(-least / step)
        step = max(step, SMALLEST_STEP)
        with torch.no_grad():
            self.log_step.fill_(math.log(step))
            self.zero.fill_(zero)

    def step(self) -> float:
        """The size of one step, in the tensor's unit; float32's value."""
        return float(self.log_step.detach().cpu().exp())

    def extra_repr(self) -> str:
        return f"{self.path}, [{self.low}, {self.high}]"


class WeightQuantizer(nn.Module):
    """One step an output channel, codes in [-(2^(b-1) - 1), 2^(b-1) - 1], zero-point 0."""

    log_step: nn.Parameter

    def __init__(self, path: str, channels: int, ndim: int, *, bits: int) -> None:
        super().__init__()
        self.path, self.bits, self.high, self.enabled = path, bits, 2 ** (bits - 1) - 1, True
        self.log_step = nn.Parameter(torch.zeros(channels))  # one axis: it must not decay
        self.shape = (-1, *[1] * (ndim - 1))
        self.register_buffer("zero", torch.zeros(()), persistent=False)

    def forward(self, weight: Tensor) -> Tensor:
        if not self.enabled:
            return weight
        log_step = self.log_step.reshape(self.shape)
        return _rounded(weight, log_step, self.zero, -self.high, self.high, None)

    def set_steps(self, steps: Tensor) -> None:
        """Steps [O] of the output channels; a channel of zeros gets the smallest."""
        with torch.no_grad():
            self.log_step.copy_(steps.clamp_min(SMALLEST_STEP).log())

    def codes(self, weight: Tensor) -> Tensor:
        """int8 codes of `weight` [O, ...]."""
        step = self.log_step.detach().exp().reshape(self.shape)
        return (weight.detach() / step).round().clamp(-self.high, self.high).to(torch.int8)

    def extra_repr(self) -> str:
        return f"{self.path}, {self.bits} bits"


class RowQuantizer(nn.Module):
    """The rows of an embedding table [V, D] that are asked for, codes in [-127, 127], a step a row.

    Only rows that a batch asks for are rounded, and neither steps nor rows learn: most rows are never seen in a
    training that short.
    """

    steps: Tensor
    HIGH = 127

    def __init__(self, path: str, rows: int) -> None:
        super().__init__()
        self.path, self.enabled = path, True
        self.register_buffer("steps", torch.ones(rows))

    def forward(self, table: Tensor, index: Tensor) -> Tensor:
        rows = nn.functional.embedding(index, table)
        if not self.enabled:
            return rows
        steps = self.steps[index].unsqueeze(-1).to(rows.dtype)
        rounded = (rows.detach() / steps).round().clamp(-self.HIGH, self.HIGH) * steps
        return rows + (rounded - rows.detach()) if rows.requires_grad else rounded

    def set_steps(self, table: Tensor) -> None:
        """Cover every row of `table`."""
        largest = table.detach().abs().amax(1)
        self.steps.copy_((largest / self.HIGH).clamp_min(SMALLEST_STEP))

    def codes(self, table: Tensor) -> Tensor:
        """int8 codes of `table` [V, D]."""
        scaled = table.detach() / self.steps[:, None]
        return scaled.round().clamp(-self.HIGH, self.HIGH).to(torch.int8)

    def extra_repr(self) -> str:
        return f"{self.path}, 8 bits"

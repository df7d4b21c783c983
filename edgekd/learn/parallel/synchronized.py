"""What batch norm and dropout do to a whole batch, done to this rank's slice of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch import distributed
from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import widen
from edgekd.learn.parallel import ranks

DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d)


def batch_norm(
    given: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """`F.batch_norm` with the mean and variance of all ranks' slices, in float32 at least."""
    if not training:
        settings = (weight, bias, training, momentum, eps)
        return F.batch_norm(given, running_mean, running_var, *settings)
    if widen(given) is given and given.requires_grad:
        made, mean, variance = _BatchNorm.apply(given, weight, bias, eps)
    else:
        made, mean, variance = _normalise_by_parts(given, weight, bias, eps)
    size = given.numel() // given.shape[1] * ranks.count()
    with torch.no_grad():
        for running, now in ((running_mean, mean), (running_var, variance * size / (size - 1))):
            if running is not None:
                running.mul_(1 - momentum).add_(momentum * now.flatten())
    normalised: Tensor = made
    return normalised


def _normalise_by_parts(
    given: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """What is normalised, the mean and the variance, by operations that torch can differentiate as often as it likes."""
    axes = [axis for axis in range(given.ndim) if axis != 1]
    wide = widen(given)
    mean = _Mean.apply(wide.mean(axes, keepdim=True))
    centred = wide - mean
    variance = _Mean.apply(centred.square().mean(axes, keepdim=True))
    sides = _sides(given)
    scale = (variance + eps).rsqrt()
    made = centred * (scale if weight is None else scale * weight.view(sides))
    return (made if bias is None else made + bias.view(sides)).to(given.dtype), mean, variance


def _sides(given: Tensor) -> list[int]:
    """The shape in which one number a channel meets `given`."""
    return [1 if axis != 1 else -1 for axis in range(given.ndim)]


class _BatchNorm(torch.autograd.Function):
    """The same in torch's own kernels and operations, in the order of one process that has a thread for each rank.

    Where channels come last torch sums in float32, a thread its share, so that another order changes 1e-5 of a
    variance, and a few steps later the sign of what a ReLU is given. Two messages forth, one back.
    """

    @staticmethod
    def forward(
        ctx: Any, given: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        size = given.numel() // given.shape[1] * ranks.count()
        nothing = given.new_zeros(given.shape[1])
        _, total = _sum_channels(given, given, nothing)
        mean = ranks.add_up(total.double()).div_(size).to(given.dtype)
        squares, _ = _sum_channels(given - mean.view(_sides(given)), given, mean)
        variance = ranks.add_up(squares.double()).to(given.dtype).div_(size)
        scale = (variance.double() + eps).sqrt().reciprocal().to(variance.dtype)
        slope = scale if weight is None else scale * weight
        made = F.batch_norm(given, mean, torch.ones_like(mean), slope, bias, False, 0.0, 0.0)
        ctx.save_for_backward(given, weight, bias, mean, scale)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        return made, mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        given, weight, bias, mean, scale = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody will differentiate this
            made, _, _ = _normalise_by_parts(given, weight, bias, ctx.eps)
            learned = [each for each in (given, weight, bias) if each is not None]
            found = iter(torch.autograd.grad(made, learned, gradients[0], create_graph=True))
            return (*(None if e is None else next(found) for e in (given, weight, bias)), None)
        size, sides = given.numel() // given.shape[1] * ranks.count(), _sides(given)
        own = torch.stack(_sum_channels(gradients[0], given, mean))
        products, total = ranks.add_up(own.double()).to(own.dtype)
        whole = gradients[0] - (total / size).view(sides)
        slope = products * scale * scale / size
        whole.addcmul_(given - mean.view(sides), slope.view(sides), value=-1).mul_(
            scale.view(sides)
        )
        if weight is not None:
            whole.mul_(weight.view(sides))
        products, total = products * scale / ranks.count(), total / ranks.count()
        return whole, None if weight is None else products, None if bias is None else total, None


def _sum_channels(values: Tensor, given: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
    """Of each channel the sums of `values` times what `given` is above `mean`, and of `values`, [C] each, as batch
    norm's own backward pass sums them: ten times as fast as `torch.sum` where channels come last."""
    one = torch.ones_like(mean)
    _, products, total = torch.ops.aten.native_batch_norm_backward(
        values, given, one, mean, one, mean, one, True, 0.0, [False, True, True]
    )
    return products, total


def dropout(
    function: Callable[..., Tensor],
    given: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
) -> Tensor:
    """Return what the whole batch would keep, of this slice."""
    if not training:
        return given
    batch = torch.ones_like(torch.cat([given.detach()] * ranks.count()))
    return given * ranks.slice_own(function(batch, p, True))


class _Mean(torch.autograd.Function):
    """Over the ranks, within a network: every rank's slice depends on it, every rank's has a part in it."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        mean = tensor.detach().clone()
        distributed.all_reduce(mean)
        return mean / ranks.count()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        mean: Tensor = _Mean.apply(gradients[0])
        return mean

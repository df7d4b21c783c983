"""What batch norm and dropout do to a whole batch, done to this rank's slice of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
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
    """The same in torch's own kernels, with one message forth and one back.

    Every slice has as many values, so the mean of the whole batch is the mean of the slices' means, and its mean square
    that of theirs; both are added up in float64, where their difference loses nothing that float32 has.
    """

    @staticmethod
    def forward(
        ctx: Any, given: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        own = torch.stack(torch.batch_norm_update_stats(given, None, None, 0.0)).double()
        own[1].addcmul_(own[0], own[0])
        mean, square = ranks.add_up(own).div_(ranks.count())
        variance = square.addcmul_(mean, mean, value=-1).clamp_(min=0).to(given.dtype)
        mean = mean.to(given.dtype)
        ctx.save_for_backward(given, weight, bias, mean, variance)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        return F.batch_norm(given, mean, variance, weight, bias, False, 0.0, eps), mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        given, weight, bias, mean, variance = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody will differentiate this
            made, _, _ = _normalise_by_parts(given, weight, bias, ctx.eps)
            learned = [each for each in (given, weight, bias) if each is not None]
            found = iter(torch.autograd.grad(made, learned, gradients[0], create_graph=True))
            return (*(None if e is None else next(found) for e in (given, weight, bias)), None)
        whole, products, total = torch.ops.aten.native_batch_norm_backward(
            gradients[0], given, weight, mean, variance, None, None, False, ctx.eps, [True] * 3
        )
        sums = ranks.add_up(torch.stack((products, total)).double()).div_(ranks.count())
        sides, scale = _sides(given), (variance.double() + ctx.eps).rsqrt_()
        # Of each channel: by how much the mean and the variance, which depend on all values, pull at one.
        pull = sums * (scale * (given.shape[1] / -given.numel()))
        if weight is not None:
            pull *= weight
        slope = pull[0] * scale
        offset = pull[1].addcmul_(slope, mean, value=-1).to(given.dtype)
        whole.addcmul_(given, slope.to(given.dtype).view(sides)).add_(offset.view(sides))
        products, total = sums.to(given.dtype)
        return whole, None if weight is None else products, None if bias is None else total, None


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
        return ranks.add_up(tensor.detach().clone()) / ranks.count()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        mean: Tensor = _Mean.apply(gradients[0])
        return mean

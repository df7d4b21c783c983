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
    axes = [axis for axis in range(given.ndim) if axis != 1]
    wide = widen(given)
    mean = _Mean.apply(wide.mean(axes, keepdim=True))
    centred = wide - mean
    variance = _Mean.apply(centred.square().mean(axes, keepdim=True))
    size = given.numel() // given.shape[1] * ranks.count()
    with torch.no_grad():
        for running, now in ((running_mean, mean), (running_var, variance * size / (size - 1))):
            if running is not None:
                running.mul_(1 - momentum).add_(momentum * now.flatten())
    sides = [1 if axis != 1 else -1 for axis in range(given.ndim)]
    scale = (variance + eps).rsqrt()
    made = centred * (scale if weight is None else scale * weight.view(sides))
    return (made if bias is None else made + bias.view(sides)).to(given.dtype)


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

"""Where a gradient goes: turned round, or through a network that is not to learn from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from typing import Any

import torch

if TYPE_CHECKING:
    from torch import Tensor
    from torch import nn


def reverse_gradient(tensor: Tensor, strength: float | Tensor = 1.0) -> Tensor:
    """Return `tensor` itself, whose gradient arrives multiplied by -s.

    What lies before it climbs where what lies behind it descends, so that one backward pass and one
    optimizer play both sides of a minimum over a maximum (Ganin and Lempitsky 2015,
    arXiv:1409.7495, eq. 4 to 6).

    Args:
        tensor: any shape.
        strength: s; a number, or a tensor [] on the same device. 0 stops the gradient.

    Returns:
        The same values, shape and type.
    """
    turned: Tensor = _Reversal.apply(tensor, strength)
    return turned


@contextmanager
def freeze_weights(network: nn.Module) -> Iterator[None]:
    """Let a pass give gradients through the network's weights and not to them."""
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_(True)


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor, strength: float | Tensor) -> Tensor:
        ctx.strength = strength
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * -ctx.strength, None

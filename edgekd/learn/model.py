"""What the small-image networks share: where they halve the image, and how they begin."""

from __future__ import annotations

import math

import torch
from torch import nn

SMALLEST_SIDE = 2


class Sides:
    """The image's sides on their way through a network that is being built.

    The networks were published for 32x32. On other sizes each keeps all its layers and halves where
    it was published to, except that a halving that would leave a side under `SMALLEST_SIDE` pixels
    is left out: its stride is 1. On 32x32 and larger nothing is left out.
    """

    def __init__(self, height: int, width: int) -> None:
        self.shorter = min(height, width)
        """In pixels."""

    def stride(self, wanted: int) -> int:
        """Of a padded 3x3 convolution: `wanted`, or 1 where that would leave too little."""
        return wanted if self._leave(math.ceil(self.shorter / wanted)) else 1

    def pool(self) -> nn.Module:
        """A 2x2 maximum, or nothing where that would leave too little."""
        return nn.MaxPool2d(2) if self._leave(self.shorter // 2) else nn.Identity()

    def _leave(self, side: int) -> bool:
        if side < SMALLEST_SIDE:
            return False
        self.shorter = side
        return True


def conv3x3(inputs: int, outputs: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A 3x3 convolution without bias that keeps the side (or halves it, rounding up)."""
    return nn.Conv2d(inputs, outputs, 3, stride, 1, groups=groups, bias=False)


def conv1x1(inputs: int, outputs: int, *, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A 1x1 convolution without bias."""
    return nn.Conv2d(inputs, outputs, 1, stride, groups=groups, bias=False)


def initialise(model: nn.Module) -> None:
    """Convolutions by He et al. 2015 (fan-out), batch norms to the identity, the rest as torch does.

    Draws from torch's global generator, layer by layer in the order of ``model.modules()``.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def shuffle(features: torch.Tensor, groups: int) -> torch.Tensor:
    """Channels of [B, C, H, W] dealt out over `groups`: channel g * C/groups + i goes to i * groups + g."""
    size = features.shape[1] // groups
    return features.unflatten(1, (groups, size)).transpose(1, 2).flatten(1, 2)

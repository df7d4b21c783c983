"""Plain convolutional networks (Simonyan and Zisserman 2015, arXiv:1409.1556) for small images.

As in the distillation literature: batch norm after each convolution, one linear layer, and for
32x32 three poolings; a fourth comes in from 64 pixels a side. Parameters bear the names of the
published checkpoints (RepDistiller, mdistiller).
"""

from __future__ import annotations

import torch
from torch import nn

from edgekd.learn.model import Sides
from edgekd.learn.model import initialise
from edgekd.settings import Count
from edgekd.settings import Depth

_CONVOLUTIONS: dict[int, tuple[int, ...]] = {
    8: (1, 1, 1, 1, 1),
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
}
"""Depth to the convolutions of each stage."""
_WIDTHS = (1, 2, 4, 8, 8)
"""Channels of each stage, in units of the first."""
_FOURTH_POOL_FROM = 64
"""Pixels of the shorter side."""


def _stage(inputs: int, outputs: int, count: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(count):
        if index:
            layers.append(nn.ReLU())
        layers.append(nn.Conv2d(outputs if index else inputs, outputs, 3, padding=1))
        layers.append(nn.BatchNorm2d(outputs))
    return nn.Sequential(*layers)


class _Vgg(nn.Module):
    def __init__(
        self, convolutions: tuple[int, ...], base: int, classes: int, channels: int, sides: Sides
    ) -> None:
        super().__init__()
        fourth = sides.shorter >= _FOURTH_POOL_FROM
        widths = [channels, *(base * times for times in _WIDTHS)]
        for index, count in enumerate(convolutions):
            self.add_module(f"block{index}", _stage(widths[index], widths[index + 1], count))
            self.add_module(f"relu{index}", nn.ReLU())
            pools = index < 3 or (index == 3 and fourth)
            self.add_module(f"pool{index}", sides.pool() if pools else nn.Identity())
        self.pool4 = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(widths[-1], classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = images
        for name, layer in self.named_children():
            if name != "classifier":
                features = layer(features)
        return self.classifier(features.flatten(1))


def vgg(
    *,
    classes: Count,
    channels: Count,
    height: Count,
    width: Count,
    depth: Depth = 8,
    base: Count = 64,
) -> nn.Module:
    """Five stages of 3x3 convolutions with 1, 2, 4, 8 and 8 times `base` channels.

    Args:
        classes: how many logits.
        channels: of the image.
        height: of the image, in pixels.
        width: of the image, in pixels.
        depth: 8, 11 or 13, counted as the literature does, with the linear layers left out here.
        base: channels of the first stage.

    Returns:
        A model from float32 [B, channels, height, width] to logits [B, classes].

    Raises:
        ValueError: for another depth.
    """
    if depth not in _CONVOLUTIONS:
        raise ValueError(f"depth: got {depth}, want one of {sorted(_CONVOLUTIONS)}")
    model = _Vgg(_CONVOLUTIONS[depth], base, classes, channels, Sides(height, width))
    initialise(model)
    return model

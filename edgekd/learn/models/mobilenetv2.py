"""Inverted residuals (Sandler et al. 2018, arXiv:1801.04381, table 2) for small images.

As in the distillation literature: 1/16 of the side in place of 1/32, ReLU in place of ReLU6, and
1,280 channels before the linear layer whatever the width. Parameters bear the names of the
published checkpoints (RepDistiller, mdistiller).
"""

from __future__ import annotations

import torch
from torch import nn

from edgekd.learn.model import Sides
from edgekd.learn.model import conv1x1
from edgekd.learn.model import conv3x3
from edgekd.learn.model import initialise
from edgekd.settings import Count
from edgekd.settings import Positive

_STEM = 32
_STAGES = (
    (16, 1, 1),
    (24, 2, 1),
    (32, 3, 2),
    (64, 4, 2),
    (96, 3, 1),
    (160, 3, 2),
    (320, 1, 1),
)
"""Channels at multiplier 1, blocks, stride of the first block. The first stage does not expand."""


class _Block(nn.Module):
    """Expand by 1x1, filter each channel by 3x3, project by 1x1; a shortcut where shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand: int, *, same: bool) -> None:
        super().__init__()
        inside = inputs * expand
        self.residual = same and inputs == outputs
        self.conv = nn.Sequential(
            conv1x1(inputs, inside),
            nn.BatchNorm2d(inside),
            nn.ReLU(),
            conv3x3(inside, inside, stride=stride, groups=inside),
            nn.BatchNorm2d(inside),
            nn.ReLU(),
            conv1x1(inside, outputs),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.conv(features) if self.residual else self.conv(features)


def _stage(
    inputs: int, outputs: int, count: int, wanted: int, expand: int, sides: Sides
) -> nn.Sequential:
    first = _Block(inputs, outputs, sides.stride(wanted), expand, same=wanted == 1)
    rest = (_Block(outputs, outputs, 1, expand, same=True) for _ in range(count - 1))
    return nn.Sequential(first, *rest)


class _MobileNetV2(nn.Module):
    def __init__(
        self, expand: int, multiplier: float, head: int, classes: int, channels: int, sides: Sides
    ) -> None:
        super().__init__()
        width = int(_STEM * multiplier)
        self.conv1 = nn.Sequential(
            conv3x3(channels, width, stride=sides.stride(2)), nn.BatchNorm2d(width), nn.ReLU()
        )
        stages = []
        for index, (units, count, stride) in enumerate(_STAGES):
            outputs = int(units * multiplier)
            stages.append(_stage(width, outputs, count, stride, expand if index else 1, sides))
            width = outputs
        self.blocks = nn.Sequential(*stages)
        self.conv2 = nn.Sequential(conv1x1(width, head), nn.BatchNorm2d(head), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Linear(head, classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.conv2(self.blocks(self.conv1(images)))
        return self.classifier(self.pool(features).flatten(1))


def mobilenetv2(
    *,
    classes: Count,
    channels: Count,
    height: Count,
    width: Count,
    expand: Count = 6,
    multiplier: Positive = 0.5,
    head: Count = 1280,
) -> nn.Module:
    """MobileNetV2 with seven stages of inverted residuals.

    Args:
        classes: how many logits.
        channels: of the image.
        height: of the image, in pixels.
        width: of the image, in pixels.
        expand: how many times wider a block is inside (T in the literature).
        multiplier: of all widths but the head's; at least 1/16.
        head: channels before the linear layer.

    Returns:
        A model from float32 [B, channels, height, width] to logits [B, classes].

    Raises:
        ValueError: if `multiplier` leaves a stage no channel.
    """
    if int(min(units for units, _, _ in _STAGES) * multiplier) < 1:
        raise ValueError(f"multiplier: got {multiplier}, want at least 1/16")
    sides = Sides(height, width)
    model = _MobileNetV2(expand, multiplier, head, classes, channels, sides)
    initialise(model)
    return model

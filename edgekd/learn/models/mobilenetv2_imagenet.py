"""Inverted residuals (Sandler et al. 2018, arXiv:1801.04381, table 2) for photographs.

As published: 1/32 of the side, ReLU6, widths in multiples of 8. Parameters bear the names of torchvision's checkpoints
(``mobilenet_v2-b0353104.pth``), which load without a change.
"""

from __future__ import annotations

import torch
from torch import nn

from edgekd.learn.model import initialise
from edgekd.settings import Count
from edgekd.settings import Fraction
from edgekd.settings import Positive

_STEM, _HEAD, _MULTIPLE = 32, 1280, 8
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""How many times wider a block is inside, channels at multiplier 1, blocks, stride of the first block."""


def _round_width(channels: float) -> int:
    """The nearest multiple of 8 that loses at most a tenth."""
    rounded = max(_MULTIPLE, int(channels + _MULTIPLE / 2) // _MULTIPLE * _MULTIPLE)
    return rounded + _MULTIPLE if rounded < 0.9 * channels else rounded


def _layer(inputs: int, outputs: int, kernel: int, stride: int, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class _Block(nn.Module):
    """Expand by 1x1, filter each channel by 3x3, project by 1x1; a shortcut where shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand: int) -> None:
        super().__init__()
        inner = inputs * expand
        self.residual = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            *([_layer(inputs, inner, 1, 1)] if expand != 1 else []),
            _layer(inner, inner, 3, stride, groups=inner),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.conv(features) if self.residual else self.conv(features)


class _MobileNetV2(nn.Module):
    def __init__(self, multiplier: float, dropout: float, classes: int, channels: int) -> None:
        super().__init__()
        width = _round_width(_STEM * multiplier)
        layers: list[nn.Module] = [_layer(channels, width, 3, 2)]
        for expand, units, count, stride in _STAGES:
            outputs = _round_width(units * multiplier)
            for number in range(count):
                layers.append(_Block(width, outputs, stride if number == 0 else 1, expand))
                width = outputs
        head = _round_width(_HEAD * max(1.0, multiplier))
        self.features = nn.Sequential(*layers, _layer(width, head, 1, 1))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(head, classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.pool(self.features(images)).flatten(1))


def mobilenetv2_imagenet(
    *,
    classes: Count,
    channels: Count,
    height: Count,
    width: Count,
    multiplier: Positive = 1.0,
    dropout: Fraction = 0.2,
) -> nn.Module:
    """MobileNetV2 as published for photographs of 224 pixels; smaller ones give fewer places.

    Args:
        classes: how many logits.
        channels: of the image.
        height: of the image, in pixels.
        width: of the image, in pixels.
        multiplier: of all widths; that of the last convolution is not lowered.
        dropout: probability of leaving out a feature before the linear layer.

    Returns:
        A model from float32 [B, channels, height, width] to logits [B, classes].
    """
    model = _MobileNetV2(multiplier, dropout, classes, channels)
    initialise(model)
    linear = model.classifier[-1]
    nn.init.normal_(linear.weight, std=0.01)
    nn.init.zeros_(linear.bias)
    return model

"""Inverted residuals with squeeze-and-excite and hard-swish (Howard et al. 2019, arXiv:1905.02244, table 2).

MobileNetV3-Small for small images: 1/16 of the side in place of 1/32 (the first block keeps it), as in
`edgekd.learn.models.mobilenetv2`, and no dropout. Channels are rounded to multiples of 8 as in the
published models, so parameters are as many as theirs.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from edgekd.learn.model import Sides
from edgekd.learn.model import conv1x1
from edgekd.learn.model import conv3x3
from edgekd.learn.model import initialise
from edgekd.settings import Count
from edgekd.settings import Positive

_STEM = 16
_MULTIPLE = 8


class _Row(NamedTuple):
    """One block; channels at multiplier 1."""

    kernel: int
    inside: int
    outputs: int
    excite: bool
    hard_swish: bool
    stride: int


_BLOCKS = (
    _Row(3, 16, 16, True, False, 1),
    _Row(3, 72, 24, False, False, 2),
    _Row(3, 88, 24, False, False, 1),
    _Row(5, 96, 40, True, True, 2),
    _Row(5, 240, 40, True, True, 1),
    _Row(5, 240, 40, True, True, 1),
    _Row(5, 120, 48, True, True, 1),
    _Row(5, 144, 48, True, True, 1),
    _Row(5, 288, 96, True, True, 2),
    _Row(5, 576, 96, True, True, 1),
    _Row(5, 576, 96, True, True, 1),
)


class _Excite(nn.Module):
    """Each channel times a gate in 0 to 1 that is computed from the means of all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = _rounded(channels / 4)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.relu = nn.ReLU()
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features * self.gate(self.expand(self.relu(self.reduce(self.pool(features)))))


class _Block(nn.Module):
    """Expand by 1x1, filter each channel, excite, project by 1x1; a shortcut where shapes allow."""

    def __init__(self, inputs: int, inside: int, outputs: int, stride: int, row: _Row) -> None:
        super().__init__()
        self.residual = row.stride == 1 and inputs == outputs
        layers: list[nn.Module] = []
        if inside != inputs:
            layers += [conv1x1(inputs, inside), nn.BatchNorm2d(inside), _activation(row)]
        layers += [_depthwise(inside, row.kernel, stride), nn.BatchNorm2d(inside), _activation(row)]
        if row.excite:
            layers.append(_Excite(inside))
        self.conv = nn.Sequential(*layers, conv1x1(inside, outputs), nn.BatchNorm2d(outputs))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features + self.conv(features) if self.residual else self.conv(features)


class _MobileNetV3(nn.Module):
    def __init__(
        self, multiplier: float, head: int, classes: int, channels: int, sides: Sides
    ) -> None:
        super().__init__()
        width = _rounded(_STEM * multiplier)
        self.conv1 = nn.Sequential(
            conv3x3(channels, width, stride=sides.stride(2)), nn.BatchNorm2d(width), nn.Hardswish()
        )
        blocks = []
        for row in _BLOCKS:
            inside, outputs = _rounded(row.inside * multiplier), _rounded(row.outputs * multiplier)
            blocks.append(_Block(width, inside, outputs, sides.stride(row.stride), row))
            width = outputs
        self.blocks = nn.Sequential(*blocks)
        last = 6 * width
        self.conv2 = nn.Sequential(conv1x1(width, last), nn.BatchNorm2d(last), nn.Hardswish())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(last, head), nn.Hardswish(), nn.Linear(head, classes)
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.conv2(self.blocks(self.conv1(images)))
        return self.classifier(self.pool(features).flatten(1))


def _activation(row: _Row) -> nn.Module:
    return nn.Hardswish() if row.hard_swish else nn.ReLU()


def _depthwise(channels: int, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)


def _rounded(channels: float) -> int:
    """The nearest multiple of 8, at least 8, and not under nine tenths of `channels`."""
    near = max(_MULTIPLE, int(channels + _MULTIPLE / 2) // _MULTIPLE * _MULTIPLE)
    return near if near >= 0.9 * channels else near + _MULTIPLE


def mobilenetv3(
    *,
    classes: Count,
    channels: Count,
    height: Count,
    width: Count,
    multiplier: Positive = 0.5,
    head: Count = 1024,
) -> nn.Module:
    """MobileNetV3-Small: eleven inverted residuals, nine of them with squeeze-and-excite.

    Args:
        classes: how many logits.
        channels: of the image.
        height: of the image, in pixels.
        width: of the image, in pixels.
        multiplier: of all widths but the head's; each is then rounded to a multiple of 8.
        head: channels between the two linear layers.

    Returns:
        A model from float32 [B, channels, height, width] to logits [B, classes].
    """
    model = _MobileNetV3(multiplier, head, classes, channels, Sides(height, width))
    initialise(model)
    return model

"""Grouped 1x1 convolutions with shuffled channels (Zhang et al. 2018, arXiv:1707.01083, table 1).

As in the distillation literature: a 1x1 stem that keeps the side, and three stages. Parameters
bear the names of the published checkpoints (RepDistiller, mdistiller).
"""

from __future__ import annotations

import torch
from torch import nn

from edgekd.learn.model import Sides
from edgekd.learn.model import conv1x1
from edgekd.learn.model import conv3x3
from edgekd.learn.model import initialise
from edgekd.learn.model import shuffle
from edgekd.settings import Count

_STEM = 24
_BLOCKS = (4, 8, 4)


class _Block(nn.Module):
    """A bottleneck of a quarter of the channels, added to its input."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, groups: int, first_groups: int
    ) -> None:
        super().__init__()
        inside = outputs // 4
        self.groups = first_groups
        self.conv1 = conv1x1(inputs, inside, groups=first_groups)
        self.bn1 = nn.BatchNorm2d(inside)
        self.relu1 = nn.ReLU()
        self.conv2 = conv3x3(inside, inside, stride=stride, groups=inside)
        self.bn2 = nn.BatchNorm2d(inside)
        self.relu2 = nn.ReLU()
        self.conv3 = conv1x1(inside, outputs, groups=groups)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu3 = nn.ReLU()

    def inside(self, features: torch.Tensor) -> torch.Tensor:
        """The branch of convolutions."""
        features = self.relu1(self.bn1(self.conv1(features)))
        features = self.relu2(self.bn2(self.conv2(shuffle(features, self.groups))))
        return self.bn3(self.conv3(features))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.relu3(self.inside(features) + features)


class _Down(_Block):
    """A stage's first block: set beside its input, which an average brings to the same side."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, groups: int, first_groups: int
    ) -> None:
        super().__init__(inputs, outputs - inputs, stride, groups, first_groups)
        self.average = nn.AvgPool2d(3, stride, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.relu3(torch.cat([self.inside(features), self.average(features)], 1))


def _stage(
    inputs: int, outputs: int, blocks: int, groups: int, stride: int, *, stem: bool
) -> nn.Sequential:
    # The stem has too few channels to be split in groups (sec. 3.2).
    first = _Down(inputs, outputs, stride, groups, 1 if stem else groups)
    rest = (_Block(outputs, outputs, 1, groups, groups) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


class _ShuffleNetV1(nn.Module):
    def __init__(self, base: int, groups: int, classes: int, channels: int, sides: Sides) -> None:
        super().__init__()
        widths = (_STEM, base, 2 * base, 4 * base)
        self.conv1 = conv1x1(channels, _STEM)
        self.bn1 = nn.BatchNorm2d(_STEM)
        self.relu = nn.ReLU()
        stages = (
            _stage(inputs, outputs, blocks, groups, sides.stride(2), stem=inputs == _STEM)
            for inputs, outputs, blocks in zip(widths, widths[1:], _BLOCKS, strict=False)
        )
        self.layer1, self.layer2, self.layer3 = stages
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(widths[-1], classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.relu(self.bn1(self.conv1(images)))
        features = self.layer3(self.layer2(self.layer1(features)))
        return self.linear(self.pool(features).flatten(1))


def shufflenetv1(
    *,
    classes: Count,
    channels: Count,
    height: Count,
    width: Count,
    base: Count = 240,
    groups: Count = 3,
) -> nn.Module:
    """ShuffleNet of three stages with `base`, 2 `base` and 4 `base` channels.

    Args:
        classes: how many logits.
        channels: of the image.
        height: of the image, in pixels.
        width: of the image, in pixels.
        base: channels of the first stage; a multiple of 4 `groups`, over 24.
        groups: of the 1x1 convolutions; 24 must be a multiple of 4 `groups` too.

    Returns:
        A model from float32 [B, channels, height, width] to logits [B, classes].

    Raises:
        ValueError: if the channels cannot be dealt out over the groups.
    """
    if base <= _STEM or base % (4 * groups) or _STEM % (4 * groups):
        raise ValueError(
            f"base, groups: got {base}, {groups}, want {_STEM} and a larger base, "
            "both multiples of 4 x groups"
        )
    model = _ShuffleNetV1(base, groups, classes, channels, Sides(height, width))
    initialise(model)
    return model

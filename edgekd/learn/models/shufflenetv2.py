"""Split and shuffled channels (Ma et al. 2018, arXiv:1807.11164, fig. 3 c and d, table 5).

As in the distillation literature: a 1x1 stem that keeps the side, and stages of 1 + 3, 1 + 7 and
1 + 3 blocks. Parameters bear the names of the published checkpoints (RepDistiller, mdistiller).
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
_BLOCKS = (3, 7, 3)
"""Of each stage, after its first."""


class _Block(nn.Module):
    """Half of the channels pass, the other half go through three convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.conv1 = conv1x1(half, half)
        self.bn1 = nn.BatchNorm2d(half)
        self.relu1 = nn.ReLU()
        self.conv2 = conv3x3(half, half, groups=half)
        self.bn2 = nn.BatchNorm2d(half)
        self.conv3 = conv1x1(half, half)
        self.bn3 = nn.BatchNorm2d(half)
        self.relu3 = nn.ReLU()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        passed, inside = features.chunk(2, dim=1)
        inside = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(inside)))))
        inside = self.relu3(self.bn3(self.conv3(inside)))
        return shuffle(torch.cat([passed, inside], 1), 2)


class _Down(nn.Module):
    """A stage's first block: two branches over all channels, side by side."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        half = outputs // 2
        self.conv1 = conv3x3(inputs, inputs, stride=stride, groups=inputs)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv2 = conv1x1(inputs, half)
        self.bn2 = nn.BatchNorm2d(half)
        self.relu2 = nn.ReLU()
        self.conv3 = conv1x1(inputs, half)
        self.bn3 = nn.BatchNorm2d(half)
        self.relu3 = nn.ReLU()
        self.conv4 = conv3x3(half, half, stride=stride, groups=half)
        self.bn4 = nn.BatchNorm2d(half)
        self.conv5 = conv1x1(half, half)
        self.bn5 = nn.BatchNorm2d(half)
        self.relu5 = nn.ReLU()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        short = self.relu2(self.bn2(self.conv2(self.bn1(self.conv1(features)))))
        long = self.bn4(self.conv4(self.relu3(self.bn3(self.conv3(features)))))
        long = self.relu5(self.bn5(self.conv5(long)))
        return shuffle(torch.cat([short, long], 1), 2)


def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    return nn.Sequential(_Down(inputs, outputs, stride), *(_Block(outputs) for _ in range(blocks)))


class _ShuffleNetV2(nn.Module):
    def __init__(self, base: int, head: int, classes: int, channels: int, sides: Sides) -> None:
        super().__init__()
        self.conv1 = conv1x1(channels, _STEM)
        self.bn1 = nn.BatchNorm2d(_STEM)
        self.relu = nn.ReLU()
        self.layer1 = _stage(_STEM, base, _BLOCKS[0], sides.stride(2))
        self.layer2 = _stage(base, 2 * base, _BLOCKS[1], sides.stride(2))
        self.layer3 = _stage(2 * base, 4 * base, _BLOCKS[2], sides.stride(2))
        self.conv2 = conv1x1(4 * base, head)
        self.bn2 = nn.BatchNorm2d(head)
        self.relu2 = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(head, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.relu(self.bn1(self.conv1(images)))
        features = self.layer3(self.layer2(self.layer1(features)))
        features = self.relu2(self.bn2(self.conv2(features)))
        return self.linear(self.pool(features).flatten(1))


def shufflenetv2(
    *,
    classes: Count,
    channels: Count,
    height: Count,
    width: Count,
    base: Count = 116,
    head: Count = 1024,
) -> nn.Module:
    """ShuffleNetV2 of three stages with `base`, 2 `base` and 4 `base` channels.

    Args:
        classes: how many logits.
        channels: of the image.
        height: of the image, in pixels.
        width: of the image, in pixels.
        base: channels of the first stage; even.
        head: channels before the linear layer.

    Returns:
        A model from float32 [B, channels, height, width] to logits [B, classes].

    Raises:
        ValueError: if `base` is odd.
    """
    if base % 2:
        raise ValueError(f"base: got {base}, want an even number")
    model = _ShuffleNetV2(base, head, classes, channels, Sides(height, width))
    initialise(model)
    return model

"""Residual networks for small images (He et al. 2016, arXiv:1512.03385, sec. 4.2).

Where a shortcut changes its shape it is a 1x1 convolution with batch norm, as in the distillation
literature. Parameters bear the names of the published checkpoints (RepDistiller, mdistiller), so
that those load.
"""

from __future__ import annotations

import torch
from torch import nn

from edgekd.learn.model import Sides
from edgekd.learn.model import conv1x1
from edgekd.learn.model import conv3x3
from edgekd.learn.model import initialise
from edgekd.settings import Count
from edgekd.settings import Depth


class _Block(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, *, project: bool) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, outputs, stride=stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = conv3x3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU()
        self.downsample = (
            nn.Sequential(conv1x1(inputs, outputs, stride=stride), nn.BatchNorm2d(outputs))
            if project
            else nn.Identity()
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        inside = self.relu1(self.bn1(self.conv1(features)))
        return self.relu2(self.bn2(self.conv2(inside)) + self.downsample(features))


def _stage(inputs: int, outputs: int, stride: int, blocks: int, *, project: bool) -> nn.Sequential:
    first = _Block(inputs, outputs, stride, project=project or inputs != outputs)
    rest = (_Block(outputs, outputs, 1, project=False) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)


class _ResNet(nn.Module):
    def __init__(
        self, stem: int, base: int, blocks: int, classes: int, channels: int, sides: Sides
    ) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels, stem)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU()
        self.layer1 = _stage(stem, base, 1, blocks, project=False)
        self.layer2 = _stage(base, 2 * base, sides.stride(2), blocks, project=True)
        self.layer3 = _stage(2 * base, 4 * base, sides.stride(2), blocks, project=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4 * base, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.relu(self.bn1(self.conv1(images)))
        features = self.layer3(self.layer2(self.layer1(features)))
        return self.fc(self.pool(features).flatten(1))


def resnet(
    *,
    classes: Count,
    channels: Count,
    height: Count,
    width: Count,
    depth: Depth = 20,
    base: Count = 16,
    stem: Count | None = None,
) -> nn.Module:
    """A residual network of three stages with `base`, 2 `base` and 4 `base` channels.

    Args:
        classes: how many logits.
        channels: of the image.
        height: of the image, in pixels.
        width: of the image, in pixels.
        depth: layers with weights, shortcuts not counted: 6 n + 2.
        base: channels of the first stage.
        stem: channels of the first convolution; None is `base`.

    Returns:
        A model from float32 [B, channels, height, width] to logits [B, classes].

    Raises:
        ValueError: if `depth` is not 6 n + 2.
    """
    blocks, rest = divmod(depth - 2, 6)
    if rest or blocks < 1:
        raise ValueError(f"depth: got {depth}, want 6 n + 2: 8, 14, 20, ...")
    model = _ResNet(stem or base, base, blocks, classes, channels, Sides(height, width))
    initialise(model)
    return model

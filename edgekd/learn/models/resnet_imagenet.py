"""Residual networks (He et al. 2016, arXiv:1512.03385, table 1) for photographs.

As published, with the stride of a bottleneck at its 3x3 convolution, as everywhere today. Parameters bear the names of
torchvision's checkpoints (``resnet18-f37072fd.pth``, ``resnet50-11ad3fa6.pth``), which load without a change.
"""

from __future__ import annotations

import torch
from torch import nn

from edgekd.learn.model import conv1x1
from edgekd.learn.model import conv3x3
from edgekd.learn.model import initialise
from edgekd.settings import Count
from edgekd.settings import Depth

_WIDTHS = (64, 128, 256, 512)
_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
"""By depth: blocks of each stage."""
_BOTTLENECKS_FROM = 50
_EXPANSION = 4


class _Basic(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv3x3(inputs, width, stride=stride), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv3x3(width, width), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inputs, width, stride)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        inner = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(features)))))
        shortcut = features if self.downsample is None else self.downsample(features)
        return self.relu(inner + shortcut)


class _Bottleneck(nn.Module):
    """A 3x3 convolution between two 1x1 beside a shortcut; four times wider outside than inside."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = _EXPANSION * width
        self.conv1, self.bn1 = conv1x1(inputs, width), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv3x3(width, width, stride=stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv1x1(width, outputs), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        inner = self.relu(self.bn1(self.conv1(features)))
        inner = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(inner)))))
        shortcut = features if self.downsample is None else self.downsample(features)
        return self.relu(inner + shortcut)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(conv1x1(inputs, outputs, stride=stride), nn.BatchNorm2d(outputs))


class _ResNet(nn.Module):
    def __init__(self, depth: int, classes: int, channels: int) -> None:
        super().__init__()
        wide = depth >= _BOTTLENECKS_FROM
        block, expansion = (_Bottleneck, _EXPANSION) if wide else (_Basic, 1)
        width = _WIDTHS[0]
        self.conv1 = nn.Conv2d(channels, width, 7, 2, 3, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for number, (units, count) in enumerate(zip(_WIDTHS, _BLOCKS[depth], strict=True), start=1):
            first = block(width, units, 1 if number == 1 else 2)
            width = units * expansion
            rest = (block(width, units, 1) for _ in range(count - 1))
            self.add_module(f"layer{number}", nn.Sequential(first, *rest))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(width, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        features = self.layer4(self.layer3(self.layer2(self.layer1(features))))
        return self.fc(self.avgpool(features).flatten(1))


def resnet_imagenet(
    *, classes: Count, channels: Count, height: Count, width: Count, depth: Depth = 18
) -> nn.Module:
    """A residual network as published for photographs of 224 pixels; smaller ones give fewer places.

    Args:
        classes: how many logits.
        channels: of the image.
        height: of the image, in pixels.
        width: of the image, in pixels.
        depth: layers with weights: 18, 34, 50 or 101.

    Returns:
        A model from float32 [B, channels, height, width] to logits [B, classes].

    Raises:
        ValueError: for another depth.
    """
    if depth not in _BLOCKS:
        raise ValueError(f"depth: got {depth}, want one of {', '.join(map(str, _BLOCKS))}")
    model = _ResNet(depth, classes, channels)
    initialise(model)
    return model

"""Wide residual networks (Zagoruyko and Komodakis 2016, arXiv:1605.07146, table 1), pre-activation.

Parameters bear the names of the published checkpoints (RepDistiller, mdistiller).
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
    """Batch norm and ReLU come before each convolution.

    Where the channels change, the shortcut starts after the first ReLU, else before the batch norm.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU()
        self.conv1 = conv3x3(inputs, outputs, stride=stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU()
        self.conv2 = conv3x3(outputs, outputs)
        self.convShortcut = conv1x1(inputs, outputs, stride=stride) if inputs != outputs else None

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        active = self.relu1(self.bn1(features))
        inside = self.conv2(self.relu2(self.bn2(self.conv1(active))))
        shortcut = features if self.convShortcut is None else self.convShortcut(active)
        return inside + shortcut


class _Stage(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, blocks: int) -> None:
        super().__init__()
        rest = (_Block(outputs, outputs, 1) for _ in range(blocks - 1))
        self.layer = nn.Sequential(_Block(inputs, outputs, stride), *rest)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.layer(features)


class _WideResNet(nn.Module):
    def __init__(
        self, stem: int, base: int, blocks: int, classes: int, channels: int, sides: Sides
    ) -> None:
        super().__init__()
        self.conv1 = conv3x3(channels, stem)
        self.block1 = _Stage(stem, base, 1, blocks)
        self.block2 = _Stage(base, 2 * base, sides.stride(2), blocks)
        self.block3 = _Stage(2 * base, 4 * base, sides.stride(2), blocks)
        self.bn1 = nn.BatchNorm2d(4 * base)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(4 * base, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.block3(self.block2(self.block1(self.conv1(images))))
        return self.fc(self.pool(self.relu(self.bn1(features))).flatten(1))


def wrn(
    *,
    classes: Count,
    channels: Count,
    height: Count,
    width: Count,
    depth: Depth = 16,
    widen: Count = 2,
    base: Count = 16,
) -> nn.Module:
    """A wide residual network of three stages with k, 2 k and 4 k channels, k = `widen` x `base`.

    Args:
        classes: how many logits.
        channels: of the image.
        height: of the image, in pixels.
        width: of the image, in pixels.
        depth: layers with weights, counted as in the paper: 6 n + 4.
        widen: how many times wider than the first convolution the first stage is.
        base: channels of the first convolution.

    Returns:
        A model from float32 [B, channels, height, width] to logits [B, classes].

    Raises:
        ValueError: if `depth` is not 6 n + 4.
    """
    blocks, rest = divmod(depth - 4, 6)
    if rest or blocks < 1:
        raise ValueError(f"depth: got {depth}, want 6 n + 4: 10, 16, 22, ...")
    model = _WideResNet(base, widen * base, blocks, classes, channels, Sides(height, width))
    initialise(model)
    return model

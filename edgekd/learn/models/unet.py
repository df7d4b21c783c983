"""An encoder and a decoder with skip connections, for a class of every pixel (Ronneberger et al. 2015,
arXiv:1505.04597).

As there, a level is two 3x3 convolutions and a halving, and the way up puts what was seen on the way down beside
it. Unlike there, convolutions keep the sides, batch norms follow them, and what comes up is the nearest pixel, not a
transposed convolution: both are rounded to int8 without loss of speed.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from edgekd.learn.model import conv3x3
from edgekd.learn.model import initialise
from edgekd.settings import Count
from edgekd.settings import Depth


class _Level(nn.Sequential):
    """Two convolutions, each with a batch norm and a ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        for name, channels in (("first", inputs), ("second", outputs)):
            self.add_module(f"{name}_conv", conv3x3(channels, outputs))
            self.add_module(f"{name}_norm", nn.BatchNorm2d(outputs))
            self.add_module(f"{name}_relu", nn.ReLU())


class _UNet(nn.Module):
    def __init__(self, channels: int, classes: int, widths: list[int]) -> None:
        super().__init__()
        inputs = [channels, *widths[:-1]]
        self.down = nn.ModuleList(map(_Level, inputs, widths))
        self.up = nn.ModuleList(
            _Level(below + beside, beside)
            for beside, below in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.classifier = nn.Conv2d(widths[0], classes, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        found, passed = images, list[torch.Tensor]()
        for number, level in enumerate(self.down):
            found = level(F.max_pool2d(found, 2, ceil_mode=True) if number else found)
            passed.append(found)
        for level, beside in zip(self.up, reversed(passed[:-1]), strict=True):
            above = F.interpolate(found, size=beside.shape[2:], mode="nearest")
            found = level(torch.cat([above, beside], 1))
        logits: torch.Tensor = self.classifier(found)
        return logits


def unet(
    *,
    classes: Count,
    channels: Count,
    height: Count,
    width: Count,
    base: Count = 16,
    depth: Depth = 3,
) -> nn.Module:
    """A U-Net that doubles its channels with every halving.

    Args:
        classes: of a pixel.
        channels: of the image.
        height: of the image, in pixels.
        width: of the image, in pixels.
        base: channels at the image's own size.
        depth: halvings, at least one; the smaller side has so many.

    Returns:
        A model from float32 [B, channels, height, width] to logits [B, classes, height, width].

    Raises:
        ValueError: if a side is too short for so many halvings.
    """
    if min(height, width) < 2**depth:
        raise ValueError(
            f"depth: got {depth} for {height}x{width} pixels, want sides of 2^depth or more"
        )
    model = _UNet(channels, classes, [base * 2**level for level in range(depth + 1)])
    initialise(model)
    return model

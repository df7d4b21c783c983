"""A small generator: from noise to normalised images of any size."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch import nn

from edgekd.fields.image import Image
from edgekd.learn.synthesis.pixel_range import pixel_range

LARGEST_START = 8
"""Side of the map that noise becomes, at most."""
SMALLEST_SIDE = 4


def generator(image: Image, *, noise: int = 100, width: int = 64) -> nn.Module:
    """A linear layer to a small map, then doublings with 3x3 convolutions (Radford et al. 2016,
    arXiv:1511.06434, as in Chen et al. 2019, arXiv:1904.01186).

    The map doubles at least twice and begins with sides of at most 8; what stands over is cut off.

    Args:
        image: the field of the images; what comes out stays within pixels 0 to 255.
        noise: numbers an image is made from.
        width: channels before the last convolution; twice as many before that.

    Returns:
        A module from float32 [B, noise] to [B, C, H, W], freshly initialised.

    Raises:
        ValueError: if a side is shorter than 4.
    """
    sides = image.height, image.width
    if min(sides) < SMALLEST_SIDE:
        raise ValueError(f"got images {sides[0]}x{sides[1]}, want sides of 4 or more to generate")
    return _Generator(image, noise, width)


class _Generator(nn.Module):
    low: Tensor
    high: Tensor

    def __init__(self, image: Image, noise: int, width: int) -> None:
        super().__init__()
        self.sides = image.height, image.width
        doublings = max(2, math.ceil(math.log2(max(self.sides) / LARGEST_START)))
        self.start = tuple(math.ceil(side / 2**doublings) for side in self.sides)
        self.first = nn.Linear(noise, 2 * width * math.prod(self.start))
        self.norm = nn.BatchNorm2d(2 * width)
        widths = [2 * width] * doublings + [width]
        self.blocks = nn.ModuleList(_block(*pair) for pair in zip(widths, widths[1:], strict=False))
        channels = image.channels
        self.last = nn.Sequential(nn.Conv2d(width, channels, 3, 1, 1), nn.BatchNorm2d(channels))
        low, high = pixel_range(image)
        self.register_buffer("low", low, persistent=False)
        self.register_buffer("high", high, persistent=False)

    def forward(self, noise: Tensor) -> Tensor:
        maps = _doubled(self.first(noise).unflatten(1, (-1, *self.start)))
        maps = self.norm(maps)
        for number, block in enumerate(self.blocks):
            maps = block(maps if not number else _doubled(maps))
        height, width = self.sides
        shade = torch.sigmoid(self.last(maps)[..., :height, :width])
        return self.low + (self.high - self.low) * shade


def _block(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, 1, 1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)
    )


def _doubled(maps: Tensor) -> Tensor:
    """Every pixel four times, as torch's nearest neighbour; its gradient is a plain sum."""
    batch, channels, height, width = maps.shape
    many = maps[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2)
    return many.reshape(batch, channels, 2 * height, 2 * width)

"""Normalised images in another size, for a teacher that wants them so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

GRAY = (0.299, 0.587, 0.114)
"""Share of red, green and blue in the luma (ITU-R BT.601-7, sec. 2.5.1); they add up to 1."""


def resize_images(images: Tensor, channels: int, height: int, width: int) -> Tensor:
    """Return images with other sides and channels; the same tensor where all agree.

    Sides change by bilinear interpolation whose triangle grows with the shrinkage (antialiasing); as matrix
    products, since torch's own has no deterministic gradient on a GPU, and a generator's images need one.
    One channel becomes three by repetition, three become one as luma: of normalised values, so it is that of
    the pixels where all channels are normalised alike.

    Args:
        images: [B, C, H, W], normalised.
        channels: wanted; other than C only from 1 to 3, or from 3 to 1.
        height: wanted.
        width: wanted.

    Returns:
        [B, channels, height, width], of the same type.

    Raises:
        ValueError: if the images are not [B, C, H, W], or the channels cannot be converted.
    """
    if images.ndim != 4 or min(height, width) < 1:
        raise ValueError(
            f"want [B, C, H, W] and sides of at least 1, got {tuple(images.shape)} and {height}x{width}"
        )
    had = images.shape[1]
    if had != channels and {had, channels} != {1, 3}:
        raise ValueError(f"got {had} channels, want {channels}: only 1 and 3 go into one another")
    if channels < had:
        images = _luma(images)
    if tuple(images.shape[2:]) != (height, width):
        exact = widen(images)
        down, across = _triangles(exact, 2, height), _triangles(exact, 3, width)
        images = (down @ exact @ across.T).to(images.dtype)
    return images.expand(-1, channels, -1, -1) if channels > had else images


def _luma(images: Tensor) -> Tensor:
    shares = images.new_tensor(GRAY).reshape(1, 3, 1, 1)
    return (images * shares).sum(1, keepdim=True)


def _triangles(images: Tensor, axis: int, wanted: int) -> Tensor:
    """[wanted, size]: weights that fall off from the middle of each wanted pixel; rows add up to 1."""
    size = images.shape[axis]
    middles = (torch.arange(wanted, dtype=torch.float64).unsqueeze(1) + 0.5) * (size / wanted)
    away = (torch.arange(size, dtype=torch.float64) + 0.5 - middles).abs()
    weights = (1 - away / max(size / wanted, 1.0)).clamp(min=0)
    return (weights / weights.sum(1, keepdim=True)).to(images)

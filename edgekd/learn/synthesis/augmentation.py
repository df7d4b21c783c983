"""Small changes of made images that must not matter to a teacher."""

from __future__ import annotations

import torch
from torch import Tensor


def roll(images: Tensor, most: int, random: torch.Generator) -> Tensor:
    """Roll images [B, C, H, W] together by up to `most` pixels along both axes."""
    by = torch.randint(-most, most + 1, (2,), generator=random).tolist()
    return torch.roll(images, by, (2, 3))


def mirror(images: Tensor, random: torch.Generator) -> Tensor:
    """Mirror images [B, C, H, W] left to right, all or none."""
    return images.flip(3) if bool(torch.rand((), generator=random) < 0.5) else images

"""What schemes that look inside the student begin with: an empty batch, one vector a sample, hard labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.learn.data.loader import Samples


def blank(samples: Samples, device: torch.device) -> Tensor:
    """Two black images [2, C, H, W] of the size that is trained on: enough to see shapes."""
    height, width, channels = samples.images.shape[1:]
    return torch.zeros(2, channels, height, width, device=device)


def averaged(features: Tensor) -> Tensor:
    """[B, D]: the mean over the places of maps [B, D, H, W] or tokens [B, N, D]; vectors as they are."""
    if features.ndim == 4:
        return features.mean((2, 3))
    return features.mean(1) if features.ndim == 3 else features


def want_unmixed(samples: Samples) -> None:
    """Refuse views after which a sample has more than one class.

    Raises:
        ValueError: if the views mix samples.
    """
    if samples.views.mixup or samples.views.cutmix:
        raise ValueError("got views that mix samples, want one class each: no mixup, no cutmix")

"""What schemes that look inside the student begin with: two samples, one vector a sample, hard labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.learn.data.loader import Samples
    from edgekd.learn.model_inputs import Inputs


def first_two_samples(samples: Samples, device: torch.device) -> Inputs:
    """Return the inputs of the first two samples: enough to find shapes."""
    inputs = samples.batch(np.arange(2), 0).inputs
    return tuple(torch.from_numpy(each).to(device) for each in inputs)


def average_places(features: Tensor) -> Tensor:
    """Return [B, D], the mean over the places of maps [B, D, H, W] or tokens [B, N, D]; vectors as they are."""
    if features.ndim == 4:
        return features.mean((2, 3))
    return features.mean(1) if features.ndim == 3 else features


def require_unmixed(samples: Samples) -> None:
    """Refuse views after which a sample has more than one class.

    Raises:
        ValueError: if the views mix samples.
    """
    if samples.views.mixup or samples.views.cutmix:
        raise ValueError("got views that mix samples, want one class each: no mixup, no cutmix")

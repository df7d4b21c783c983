"""A contrastive pretext task: which upright image does a rotated one come from?"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.learn.mathematics.directions import unit

TURNS = 3
"""Rotations by 90, 180 and 270 degrees."""


def rotate(images: Tensor) -> Tensor:
    """Return [3 B, C, H, H] of [B, C, H, H]: all turned by 90 degrees, then all by 180, then by 270.

    Raises:
        ValueError: if the images are not square.
    """
    if images.shape[2] != images.shape[3]:
        raise ValueError(
            f"got images {tuple(images.shape)}, want square ones, which can be rotated"
        )
    return torch.cat([images.rot90(turn, (2, 3)) for turn in range(1, TURNS + 1)])


def similarities(turned: Tensor, upright: Tensor) -> Tensor:
    """Cosines [3 B, B] between representations of rotated [3 B, D] and upright images [B, D]."""
    return unit(turned) @ unit(upright).T


def rotation_origins(batch: int, device: torch.device) -> Tensor:
    """[3 B]: which upright image each rotated one comes from."""
    return torch.arange(batch, device=device).repeat(TURNS)


def select_best(scores: Tensor, wanted: Tensor, share: float) -> Tensor:
    """Select the rows that put `wanted` first, and of the others the `share` that rank it highest.

    Args:
        scores: [N, C].
        wanted: [N], class indices.
        share: 0 to 1; the number is rounded down.

    Returns:
        [N], bool.
    """
    ranks = (scores > scores.gather(1, wanted.unsqueeze(1))).sum(1)
    right = int((ranks == 0).sum())
    count = right + int((len(ranks) - right) * share)
    kept = torch.zeros_like(ranks, dtype=torch.bool)
    kept[ranks.argsort(stable=True)[:count]] = True
    return kept


def transfer_loss(student: Tensor, teacher: Tensor, kept: Tensor, temperature: float) -> Tensor:
    """T^2 KL of the rows' softmax at temperature T, mean over those kept; 0 where there is none.

    Args:
        student: [N, C]; the gradient flows here.
        teacher: [N, C]; detached.
        kept: [N], bool.
        temperature: T, above 0.
    """
    ours = F.log_softmax(student / temperature, 1)
    theirs = F.log_softmax(teacher.detach() / temperature, 1)
    rows = F.kl_div(ours, theirs, reduction="none", log_target=True).sum(1)
    return (rows * kept).sum() / kept.sum().clamp(min=1) * temperature**2

"""A loss that compares maps at several sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from edgekd.learn.mathematics.fitting import pool_maps
from edgekd.learn.mathematics.shapes import require_maps
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

SIDES = (4, 2, 1)
"""What maps are pooled to, if they are larger; each counts half as much as the one before."""


def reviewkd(student_stages: Sequence[Tensor], teacher_stages: Sequence[Tensor]) -> Tensor:
    """Weighted mean of the squared differences at full size and pooled, summed over the stages.

    Full size weighs 1, then 1/2, 1/4, 1/8 (hierarchical context loss; Chen et al. 2021, arXiv:2104.09044,
    sec. 3.3).

    Args:
        student_stages: the fused maps [B, C, H, W], shallow to deep; the gradient flows here.
        teacher_stages: of the same shapes; detached.

    Returns:
        Scalar; 0 where both agree.

    Raises:
        ValueError: if the shapes differ, or there are none.
    """
    if len(student_stages) != len(teacher_stages) or not student_stages:
        raise ValueError(
            f"want as many stages of both, got {len(student_stages)} and {len(teacher_stages)}"
        )
    pairs = zip(student_stages, teacher_stages, strict=True)
    return torch.stack([_at_all_sizes(one, other.detach()) for one, other in pairs]).sum()


def _at_all_sizes(student: Tensor, teacher: Tensor) -> Tensor:
    require_maps(student, teacher)
    student, teacher = widen(student), widen(teacher)
    value, weight, weights = F.mse_loss(student, teacher), 1.0, 1.0
    for side in (side for side in SIDES if side < min(student.shape[2:])):
        weight /= 2
        weights += weight
        small = F.mse_loss(pool_maps(student, (side, side)), pool_maps(teacher, (side, side)))
        value = value + weight * small
    return value / weights

"""Losses that compare where in a map the networks look."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgekd.learn.mathematics.directions import length
from edgekd.learn.mathematics.directions import unit
from edgekd.learn.mathematics.shapes import require_maps
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor


def attnfd(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """||F_s / |F_s| - F_t / |F_t|||^2 of each sample, mean over the batch.

    F are maps that its companion refined by attention (Mansourian et al. 2024, arXiv:2403.05451, sec. 3).
    Each sample is brought to length 1; the authors' code does so with the whole batch at once, which is
    less by about the batch's size.

    Args:
        student_features: [B, C, H, W]; the gradient flows here.
        teacher_features: [B, C, H, W]; the gradient does not flow here.

    Returns:
        Scalar, at most 4; 0 where both differ by a factor.

    Raises:
        ValueError: if the shapes differ.
    """
    require_maps(student_features, teacher_features)
    student = unit(widen(student_features).flatten(1))
    teacher = unit(widen(teacher_features.detach()).flatten(1))
    return (student - teacher).square().sum(1).mean()


def spatial_affinity(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """sum_c ||u u^T - v v^T||_F / (H W), mean over the batch.

    u and v are channel c of student and teacher, flattened and brought to length 1 (He et al. 2019,
    arXiv:1903.04688, sec. 3.3). Neither product is made: with a = u - v and b = u + v the norm is
    sqrt((|a|^2 |b|^2 + (a b)^2) / 2).

    Args:
        student_features: [B, C, H, W]; the gradient flows here.
        teacher_features: [B, C, H, W]; detached.

    Returns:
        Scalar; 0 where each channel agrees up to a factor.

    Raises:
        ValueError: if the shapes differ.
    """
    require_maps(student_features, teacher_features)
    student = unit(widen(student_features).flatten(2))
    teacher = unit(widen(teacher_features.detach()).flatten(2))
    less, more = student - teacher, student + teacher
    sides = length(less) * length(more), (less * more).sum(2, keepdim=True)
    apart = length(torch.cat(sides, 2)) / 2**0.5
    return apart.sum() / (student.shape[0] * student.shape[2])

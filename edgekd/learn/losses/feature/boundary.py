"""Losses that care on which side of zero the teacher is; for features from before an activation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgekd.learn.mathematics.fitting import require_same_shape
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import NonNegative


def ab(student_features: Tensor, teacher_features: Tensor, *, margin: NonNegative = 1.0) -> Tensor:
    """Sum of (f_s + m)^2 where f_s > -m but f_t <= 0, and (f_s - m)^2 where f_s <= m but f_t > 0.

    Mean over the batch: a hinge that wants the student as active as the teacher, with a margin (Heo et al.
    2019, arXiv:1811.03233, sec. 3).

    Args:
        student_features: [B, C, H, W], [B, N, D] or [B, D]; the gradient flows here.
        teacher_features: of the same shape; detached. Only its sign is read.
        margin: m.

    Returns:
        Scalar, never negative.

    Raises:
        ValueError: if the shapes differ.
    """
    require_same_shape(student_features, teacher_features)
    student, active = widen(student_features), teacher_features.detach() > 0
    short = torch.where(active, margin - student, margin + student).relu()
    return short.square().sum() / len(student)


def ofd(student_features: Tensor, teacher_features: Tensor, margin: Tensor) -> Tensor:
    """Sum of (f_s - t)^2 where f_s > t or t > 0, with t = max(f_t, m); mean over the batch.

    Where the teacher is off, a student below it is off, too, and left alone (Heo et al. 2019,
    arXiv:1904.01866, sec. 3).

    Args:
        student_features: [B, C, H, W], [B, N, D] or [B, D]; the gradient flows here.
        teacher_features: of the same shape; detached.
        margin: m below zero, one a channel; broadcast over the features.

    Returns:
        Scalar, never negative.

    Raises:
        ValueError: if the shapes do not fit.
    """
    require_same_shape(student_features, teacher_features)
    student, teacher = widen(student_features), widen(teacher_features.detach())
    wanted = torch.maximum(teacher, margin.detach())
    require_same_shape(student, wanted)
    counts = (student > wanted) | (wanted > 0)
    return ((student - wanted) * counts).square().sum() / len(student)

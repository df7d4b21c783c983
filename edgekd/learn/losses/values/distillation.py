"""Losses against a teacher's numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import require_same_values
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import NonNegative


def value_mse(student_values: Tensor, teacher_values: Tensor) -> Tensor:
    """Mean of (y_s - y_t)^2 over batch and numbers.

    Args:
        student_values: [B, ...]; the gradient flows here.
        teacher_values: [B, ...]; detached.

    Returns:
        Scalar, in the square of the target's unit.

    Raises:
        ValueError: if the shapes differ.
    """
    require_same_values(student_values, teacher_values)
    return F.mse_loss(widen(student_values), widen(teacher_values.detach()))


def bounded_regression(
    student_values: Tensor, teacher_values: Tensor, targets: Tensor, *, margin: NonNegative = 0.0
) -> Tensor:
    """|y_s - y|^2 of the samples where it is above |y_t - y|^2 - m, 0 of the others; mean over the batch.

    The teacher bounds the student and is no target itself: its numbers may be far off (Chen et al. 2017, Learning
    Efficient Object Detection Models with Knowledge Distillation, NeurIPS, eq. 6). Beside it stands a loss on targets:
    `smooth-l1` there, and this one weighs half as much.

    Args:
        student_values: [B, ...]; the gradient flows here.
        teacher_values: [B, ...]; detached.
        targets: [B, ...].
        margin: m, not negative, in the square of the target's unit.

    Returns:
        Scalar, in the square of the target's unit; the squares of a sample are summed.

    Raises:
        ValueError: if the shapes differ.
    """
    require_same_values(student_values, teacher_values)
    require_same_values(student_values, targets)
    wanted = widen(targets)
    off = (widen(student_values) - wanted).square().flatten(1).sum(1)
    bound = (widen(teacher_values.detach()) - wanted).square().flatten(1).sum(1)
    return (off * (off.detach() + margin > bound)).mean()

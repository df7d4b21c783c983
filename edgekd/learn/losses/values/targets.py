"""Losses against measured numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import require_same_values
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Positive


def mean_squared_error(student_values: Tensor, targets: Tensor) -> Tensor:
    """Mean of (y_s - y)^2 over batch and numbers.

    Args:
        student_values: [B, ...]; the gradient flows here.
        targets: [B, ...].

    Returns:
        Scalar, in the square of the target's unit.

    Raises:
        ValueError: if the shapes differ.
    """
    require_same_values(student_values, targets)
    return F.mse_loss(widen(student_values), widen(targets))


def smooth_l1(student_values: Tensor, targets: Tensor, *, beta: Positive = 1.0) -> Tensor:
    """Mean over batch and numbers of d^2 / (2 b) where d = |y_s - y| < b, else d - b / 2.

    (Girshick 2015, arXiv:1504.08083, eq. 3, with b = 1.)

    Args:
        student_values: [B, ...]; the gradient flows here.
        targets: [B, ...].
        beta: b, above 0, in the target's unit: where the parabola ends.

    Returns:
        Scalar, in the target's unit.

    Raises:
        ValueError: if the shapes differ.
    """
    require_same_values(student_values, targets)
    return F.smooth_l1_loss(widen(student_values), widen(targets), beta=beta)

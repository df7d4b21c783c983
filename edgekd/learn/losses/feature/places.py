"""Losses that compare where in a map the networks are active, whatever their channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from edgekd.learn.mathematics.fitting import require_same_places
from edgekd.learn.mathematics.fitting import rows
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Positive


def at(
    student_features: Tensor,
    teacher_features: Tensor,
    *,
    exponent: Positive = 2.0,
    squared: bool = True,
) -> Tensor:
    """Mean over samples and places of (Q_s / |Q_s| - Q_t / |Q_t|)^2.

    Q is the mean over the channels of |f|^p, one number a place (Zagoruyko and Komodakis 2017,
    arXiv:1612.03928, eq. 2, as the authors' code reduces it).

    Args:
        student_features: [B, C, H, W] or [B, N, D]; the gradient flows here.
        teacher_features: with as many places, any channels; detached.
        exponent: p, 1 or more.
        squared: False for the norm of the difference, mean over the samples, as the paper prints it.

    Returns:
        Scalar; 0 where one is a multiple of the other.

    Raises:
        ValueError: if the places differ, or p < 1.
    """
    require_same_places(student_features, teacher_features)
    if exponent < 1:
        raise ValueError(f"got exponent {exponent}, want 1 or more")
    difference = _attention(student_features, exponent) - _attention(
        teacher_features.detach(), exponent
    )
    return difference.square().mean() if squared else difference.norm(dim=1).mean()


def nst(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Mean k(t, t') + mean k(s, s') - 2 mean k(s, t) over pairs of channels and over samples.

    k(u, v) = (u . v)^2 of channels normalized over their places: the squared maximum mean discrepancy
    between the two sets of channels (Huang and Wang 2017, arXiv:1707.01219, sec. 4, polynomial kernel).

    Args:
        student_features: [B, C, H, W] or [B, N, D]; the gradient flows here.
        teacher_features: with as many places, any channels; detached.

    Returns:
        Scalar, never negative; 0 where the channels agree, in any order.

    Raises:
        ValueError: if the places differ.
    """
    require_same_places(student_features, teacher_features)
    student = F.normalize(rows(widen(student_features)), dim=2)
    teacher = F.normalize(rows(widen(teacher_features.detach())), dim=2)
    return _kernel(teacher, teacher) + _kernel(student, student) - 2 * _kernel(student, teacher)


def _attention(features: Tensor, exponent: float) -> Tensor:
    """[B, P], of length 1."""
    return F.normalize(rows(widen(features)).abs().pow(exponent).mean(1), dim=1)


def _kernel(one: Tensor, other: Tensor) -> Tensor:
    return (one @ other.transpose(1, 2)).square().mean()

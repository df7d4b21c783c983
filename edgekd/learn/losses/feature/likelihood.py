"""Losses that learn how sure to be: the teacher's features under a normal distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekd.learn.mathematics.fitting import require_same_shape
from edgekd.learn.mathematics.shapes import require_embeddings
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

TINY = 1e-6
"""Added to the variance before it divides, as is usual."""


def vid(student_features: Tensor, teacher_features: Tensor, variance: Tensor) -> Tensor:
    """Mean over all elements of ((f_s - f_t)^2 / v + log v) / 2.

    The negative log-likelihood of the teacher's features, short of a constant: it bounds the mutual
    information from below (Ahn et al. 2019, arXiv:1904.05835, sec. 2).

    Args:
        student_features: the mean, regressed from the student: [B, C, H, W], [B, N, D] or [B, D].
        teacher_features: of the same shape; detached.
        variance: v, above 0, learnt, one a channel; broadcast over the features.

    Returns:
        Scalar; below 0 where v is small and met.

    Raises:
        ValueError: if the shapes do not fit.
    """
    require_same_shape(student_features, teacher_features)
    student, teacher = widen(student_features), widen(teacher_features.detach())
    spread = ((student - teacher).square() / variance + variance.log()) / 2
    require_same_shape(student, spread)
    return spread.mean()


def pad_l2(student_embedding: Tensor, teacher_embedding: Tensor, log_variance: Tensor) -> Tensor:
    """Mean over all elements of (e_s - e_t)^2 / (exp l + 1e-6) + l.

    l is the log variance that a branch of the student predicts for each sample, so that what cannot be
    learnt weighs less (Zhang et al. 2020, arXiv:2008.01458, sec. 3).

    Args:
        student_embedding: [B, D]; the gradient flows here.
        teacher_embedding: [B, D]; detached.
        log_variance: l, [B, D], learnt.

    Returns:
        Scalar.

    Raises:
        ValueError: if the shapes differ.
    """
    require_embeddings(student_embedding, teacher_embedding, same=True)
    require_embeddings(student_embedding, log_variance, same=True)
    student, teacher = widen(student_embedding), widen(teacher_embedding.detach())
    return ((student - teacher).square() / (log_variance.exp() + TINY) + log_variance).mean()

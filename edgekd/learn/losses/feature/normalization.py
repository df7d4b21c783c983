"""Losses on embeddings that a batch normalization has put on one scale."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import require_embeddings
from edgekd.learn.mathematics.shapes import require_several
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Positive

LEAST = 1e-12
"""The sum of powers is held above it, where its logarithm would be infinite."""
TINY = 1e-5
"""Added to the sum of powers of the correlations, as the authors do."""


def srd(
    student_embedding: Tensor,
    teacher_embedding: Tensor,
    *,
    exponent: Positive = 4.0,
    epsilon: Positive = 1e-4,
) -> Tensor:
    """log of the sum over samples and features of |n(e_s) - n(e_t)|^p.

    n is a batch normalization without scale and shift. The logarithm lets the student off where it is far
    from a much larger teacher (Miles and Mikolajczyk 2024, arXiv:2303.11098, sec. 3).

    Args:
        student_embedding: projected, [B, D]; the gradient flows here.
        teacher_embedding: [B, D]; detached.
        exponent: p, 1 or more.
        epsilon: added to the variances.

    Returns:
        Scalar; it falls without end as both come to agree, and is held at log 1e-12.

    Raises:
        ValueError: if the shapes differ, the batch is of one, or p < 1.
    """
    student, teacher = _normalized(student_embedding, teacher_embedding, exponent, epsilon)
    return log_power_sum(student - teacher, exponent)


def srd_correlation(
    student_embedding: Tensor,
    teacher_embedding: Tensor,
    *,
    exponent: Positive = 4.0,
    epsilon: Positive = 1e-5,
) -> Tensor:
    """log(1e-5 + sum over features of |r - 1|^p), r the correlation over the batch.

    The same authors' loss for vision transformers (Miles and Mikolajczyk 2024, arXiv:2303.11098, DeiT
    code).

    Args:
        student_embedding: projected, [B, D]; the gradient flows here.
        teacher_embedding: [B, D]; detached.
        exponent: p, 1 or more.
        epsilon: added to the variances.

    Returns:
        Scalar, log 1e-5 or more.

    Raises:
        ValueError: if the shapes differ, the batch is of one, or p < 1.
    """
    student, teacher = _normalized(student_embedding, teacher_embedding, exponent, epsilon)
    correlation = (student * teacher).mean(0)
    return ((correlation - 1).abs().pow(exponent).sum() + TINY).log()


def log_power_sum(difference: Tensor, exponent: float) -> Tensor:
    """log of the sum over all elements of |x|^p.

    Args:
        difference: x, of any shape.
        exponent: p, 1 or more.

    Returns:
        Scalar, log 1e-12 or more.
    """
    return difference.abs().pow(exponent).sum().clamp_min(LEAST).log()


def _normalized(
    student: Tensor, teacher: Tensor, exponent: float, epsilon: float
) -> tuple[Tensor, Tensor]:
    if exponent < 1:
        raise ValueError(f"got exponent {exponent}, want 1 or more")
    require_embeddings(student, teacher, same=True)
    require_several(student)
    one, other = widen(student), widen(teacher.detach())
    return (
        F.batch_norm(one, None, None, training=True, eps=epsilon),
        F.batch_norm(other, None, None, training=True, eps=epsilon),
    )

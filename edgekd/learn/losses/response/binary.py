"""Losses of classes that do not compete: of each, whether it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import require_same_logits
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Positive


def binary_cross_entropy(student_logits: Tensor, labels: Tensor) -> Tensor:
    """-y log p - (1 - y) log(1 - p) with p = sigmoid(z), mean over batch and classes.

    Args:
        student_logits: [B, C]; the gradient flows here.
        labels: [B, C], 0 or 1; or what lies between where views are mixed.

    Returns:
        Scalar, nats.

    Raises:
        ValueError: if the shapes differ or are not [B, C].
    """
    require_same_logits(student_logits, labels)
    logits = widen(student_logits)
    return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))


def binary_kd(
    student_logits: Tensor, teacher_logits: Tensor, *, temperature: Positive = 1.0
) -> Tensor:
    """T^2 KL(p_t || p_s) of the two answers to each class, p = sigmoid(z / T), mean over batch and classes.

    `kd` of every class as a classifier of two (Hinton, Vinyals and Dean 2015, arXiv:1503.02531, sec. 2): its gradient is
    that of binary cross-entropy to the teacher's sigmoid.

    Args:
        student_logits: [B, C]; the gradient flows here.
        teacher_logits: [B, C]; detached.
        temperature: T, above 0.

    Returns:
        Scalar, nats; never negative, 0 where both agree.

    Raises:
        ValueError: if the shapes differ or are not [B, C].
    """
    require_same_logits(student_logits, teacher_logits)
    student, teacher = (
        widen(logits) / temperature for logits in (student_logits, teacher_logits.detach())
    )
    there, absent = teacher.sigmoid(), (-teacher).sigmoid()
    divergence = there * (F.logsigmoid(teacher) - F.logsigmoid(student))
    divergence = divergence + absent * (F.logsigmoid(-teacher) - F.logsigmoid(-student))
    return divergence.mean() * temperature**2

"""Soft targets whose weight depends on the sample or on the class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import require_classes
from edgekd.learn.mathematics.shapes import require_same_logits
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Positive

TINY = 1e-7
"""Added to the teacher's cross-entropy before it divides, as the authors do."""


def wsld(
    student_logits: Tensor,
    teacher_logits: Tensor,
    label_indices: Tensor,
    *,
    temperature: Positive = 4.0,
) -> Tensor:
    """T^2 (1 - exp(-CE_s / CE_t)) H(p_t^T, p_s^T), mean over the batch.

    Samples that the student has learned better than its teacher count less; the weight is not
    differentiated (Zhou et al. 2021, arXiv:2102.00650, eq. 12).

    Args:
        student_logits: [B, C]; the gradient flows here.
        teacher_logits: [B, C]; detached.
        label_indices: [B], int64.
        temperature: T of the soft targets, above 0; the cross-entropies have none.

    Returns:
        Scalar, nats.

    Raises:
        ValueError: if the shapes do not fit.
    """
    require_same_logits(student_logits, teacher_logits)
    require_classes(student_logits, label_indices)
    student, teacher = widen(student_logits), widen(teacher_logits.detach())
    with torch.no_grad():
        theirs = F.cross_entropy(teacher, label_indices, reduction="none")
        weight = 1 - torch.exp(
            -F.cross_entropy(student, label_indices, reduction="none") / (theirs + TINY)
        )
    soft = F.softmax(teacher / temperature, 1) * F.log_softmax(student / temperature, 1)
    return -(weight * soft.sum(1)).mean() * temperature**2


def ofa(
    student_logits: Tensor,
    teacher_logits: Tensor,
    label_indices: Tensor,
    *,
    exponent: Positive = 1.5,
    temperature: Positive = 1.0,
) -> Tensor:
    """-sum_c ((p_t + 1_y)^e - 1_y)_c log p_s(c), mean over the batch.

    The labelled class counts more the surer the teacher is of it, the others less; made for teachers of
    another architecture (Hao et al. 2023, arXiv:2310.19444, eq. 7). With e = 1 it is the cross-entropy of
    soft targets.

    Args:
        student_logits: [B, C]; the gradient flows here.
        teacher_logits: [B, C]; detached.
        label_indices: [B], int64.
        exponent: e.
        temperature: of both, above 0.

    Returns:
        Scalar, nats.

    Raises:
        ValueError: if the shapes do not fit.
    """
    require_same_logits(student_logits, teacher_logits)
    require_classes(student_logits, label_indices)
    student = F.log_softmax(widen(student_logits) / temperature, 1)
    teacher = F.softmax(widen(teacher_logits.detach()) / temperature, 1)
    labelled = torch.zeros_like(teacher).scatter_(1, label_indices.unsqueeze(1), 1.0)
    wanted = (teacher + labelled).pow(exponent) - labelled
    return -(wanted * student).sum(1).mean()

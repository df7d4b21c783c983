"""Losses against a teacher whose wrong answers are put right."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import widen
from edgekd.learn.mathematics.tokens import compute_rows
from edgekd.learn.mathematics.tokens import masked_mean
from edgekd.learn.mathematics.tokens import require_same_tokens

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Fraction
    from edgekd.settings import Positive

TINY = 1e-7
"""Added to what divides, as the authors do."""


def mft(
    student_logits: Tensor,
    teacher_logits: Tensor,
    label_indices: Tensor,
    *,
    threshold: Fraction = 0.2,
    temperature: Positive = 1.0,
) -> Tensor:
    """T^2 KL(c || p_s^T), mean over the tokens, with c the teacher corrected by the labels.

    Minifinetuning: the model as it was before is the teacher, moved no further than the labels ask
    (Belcak et al. 2025, arXiv:2506.15702). See `correct_teacher`.

    Args:
        student_logits: [B, C] or [..., V]; the gradient flows here.
        teacher_logits: the same shape; detached.
        label_indices: [B] or [...], int64; a token whose label is negative counts for nothing.
        threshold: tau, from 0 to 1.
        temperature: T, above 0; the teacher is corrected at T.

    Returns:
        Scalar, nats; never negative, 0 where the student answers as the corrected teacher, or no token
        counts.

    Raises:
        ValueError: if the shapes do not fit.
    """
    tokenwise = functools.partial(corrected_kl, threshold=threshold, temperature=temperature)
    require_same_tokens(student_logits, teacher_logits)
    labels = label_indices.clamp(min=0)
    values = compute_rows(tokenwise)(student_logits, teacher_logits.detach(), labels)
    return masked_mean(values, label_indices >= 0)


def corrected_kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    label_indices: Tensor,
    *,
    threshold: float,
    temperature: float = 1.0,
) -> Tensor:
    """`mft` of each token: [..., V], [..., V] and [...] to [...]; every label is a class."""
    require_same_tokens(student_logits, teacher_logits)
    if label_indices.shape != student_logits.shape[:-1]:
        raise ValueError(
            f"want [..., V] and [...], got {tuple(student_logits.shape)} and {tuple(label_indices.shape)}"
        )
    student = F.log_softmax(widen(student_logits) / temperature, -1)
    teacher = F.softmax(widen(teacher_logits.detach()) / temperature, -1)
    wanted = correct_teacher(teacher, label_indices, threshold)
    return F.kl_div(student, wanted, reduction="none").sum(-1) * temperature**2


def correct_teacher(probabilities: Tensor, label_indices: Tensor, threshold: float) -> Tensor:
    """Return (1 - m) p + m onehot(y): as little of the label as puts it far enough ahead.

    Where another class is the likeliest, m makes the label lead it by the threshold. Where the label
    is the likeliest, m raises it by the threshold, at most to 1.

    Args:
        probabilities: p, [..., V].
        label_indices: y, [...], int64.
        threshold: from 0 to 1.

    Returns:
        Probabilities [..., V].
    """
    rows = label_indices.unsqueeze(-1)
    highest, likeliest = probabilities.max(-1, keepdim=True)
    labelled = probabilities.gather(-1, rows)
    behind = highest - labelled
    to_lead = (behind + threshold) / (1 + behind + TINY)
    to_rise = (1 - labelled).clamp(max=threshold) / (1 - labelled + TINY)
    part = torch.where(likeliest == rows, to_rise, to_lead)
    return (probabilities * (1 - part)).scatter_add(-1, rows, part)

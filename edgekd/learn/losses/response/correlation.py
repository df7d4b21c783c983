"""Losses that compare how answers vary, not what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import require_same_logits
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import NonNegative
    from edgekd.settings import Positive

TINY = 1e-8
"""Added to the product of the norms, as the authors do."""


def dist(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    beta: NonNegative = 1.0,
    gamma: NonNegative = 1.0,
    temperature: Positive = 1.0,
) -> Tensor:
    """T^2 (beta (1 - r of the rows) + gamma (1 - r of the columns)).

    r is Pearson's correlation of the softened probabilities of teacher and student, mean over the
    samples (rows) and over the classes (columns) (Huang et al. 2022, arXiv:2205.10536, eq. 9 and 10).

    Args:
        student_logits: [B, C]; the gradient flows here.
        teacher_logits: [B, C]; detached.
        beta: weight within a sample.
        gamma: weight within a class, across the batch.
        temperature: T, above 0.

    Returns:
        Scalar, at most 2 T^2 (beta + gamma). Rows and columns of equal numbers count as r = 0: with many
        classes and a small batch some columns of a sure teacher are such, and the loss of equal answers
        is not 0. Of two classes only the columns say anything.

    Raises:
        ValueError: if the shapes do not fit, or the batch is of one.
    """
    require_same_logits(student_logits, teacher_logits)
    if len(student_logits) < 2:
        raise ValueError("got a batch of 1, want 2 samples or more to compare across")
    student = F.softmax(widen(student_logits) / temperature, 1)
    teacher = F.softmax(widen(teacher_logits.detach()) / temperature, 1)
    rows, columns = _pearson(student, teacher), _pearson(student.T, teacher.T)
    return (beta * (1 - rows.mean()) + gamma * (1 - columns.mean())) * temperature**2


def _pearson(a: Tensor, b: Tensor) -> Tensor:
    """[N] of [N, M] and [N, M]."""
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    size = a.norm(dim=1) * b.norm(dim=1)
    still = size <= TINY  # of equal numbers: no correlation, and none to learn from
    return ((a * b).sum(1) / (size + TINY).masked_fill(still, 1)).masked_fill(still, 0)

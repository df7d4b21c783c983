"""Losses against labels."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import widen
from edgekd.learn.mathematics.tokens import MOST_AT_ONCE
from edgekd.learn.mathematics.tokens import compute_rows
from edgekd.learn.mathematics.tokens import masked_mean

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Fraction
    from edgekd.settings import Positive


IGNORED = -100
"""A label that counts for nothing, as torch has it."""


def cross_entropy(
    student_logits: Tensor,
    labels: Tensor,
    *,
    label_smoothing: Fraction = 0.0,
    class_weights: Tensor | None = None,
) -> Tensor:
    """-sum_c w_c q_c log softmax(z)_c, mean over the batch, with smoothed labels.

    With weights it is divided by the sum of the labels' weights; with probabilities for labels by the batch. q = (1 - e) * onehot(y) + e / C (Szegedy et al. 2016, arXiv:1512.00567, sec. 7).

    Args:
        student_logits: [B, C].
        labels: class indices [B], int64; or probabilities [B, C] where views are mixed.
        label_smoothing: e, from 0 to 1.
        class_weights: w [C], from `train.class_weights` of the recipe; None is 1 each.

    Returns:
        Scalar, nats.

    Raises:
        ValueError: if the shapes do not fit.
    """
    if student_logits.ndim != 2 or labels.shape[0] != student_logits.shape[0]:
        raise ValueError(f"want [B, C] and [B], got {student_logits.shape} and {labels.shape}")
    if student_logits.numel() > MOST_AT_ONCE and labels.ndim == 1 and class_weights is None:
        each = functools.partial(_cross_entropy_of_each, label_smoothing=label_smoothing)
        return masked_mean(compute_rows(each)(student_logits, labels), labels != IGNORED)
    wide = widen(student_logits)
    weights = None if class_weights is None else class_weights.to(wide)
    return F.cross_entropy(wide, labels, weights, label_smoothing=label_smoothing)


def _cross_entropy_of_each(
    student_logits: Tensor, labels: Tensor, *, label_smoothing: float
) -> Tensor:
    """[P] of [P, C] and [P]."""
    wide = widen(student_logits)
    return F.cross_entropy(wide, labels, reduction="none", label_smoothing=label_smoothing)


def defensive(student_logits: Tensor, labels: Tensor, *, temperature: Positive = 20.0) -> Tensor:
    """-log softmax(z / T)_y, mean over the batch: how the teacher of defensive distillation is trained.

    Its student then learns from ``kd`` at the same T alone; asked at 1, both are all but sure (Papernot et
    al. 2016, arXiv:1511.04508, sec. III). It hides gradients from an attack more than it withstands one
    (Carlini and Wagner 2017, arXiv:1608.04644): `edgekd methods ard` is the stronger way.

    Args:
        student_logits: [B, C].
        labels: class indices [B], int64; or probabilities [B, C] where views are mixed.
        temperature: T, above 0; its square is not multiplied back.

    Returns:
        Scalar, nats.

    Raises:
        ValueError: if the shapes do not fit.
    """
    return cross_entropy(widen(student_logits) / temperature, labels)

"""Losses that part the labelled class from all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import require_classes
from edgekd.learn.mathematics.shapes import require_same_logits
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import NonNegative
    from edgekd.settings import Positive


def dkd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    label_indices: Tensor,
    *,
    alpha: NonNegative = 1.0,
    beta: NonNegative = 8.0,
    temperature: Positive = 4.0,
) -> Tensor:
    """T^2 (alpha TCKD + beta NCKD), mean over the batch.

    TCKD is the KL between (p_y, 1 - p_y) of teacher and student, NCKD that between their softmax over all
    classes but y, all at temperature T (Zhao et al. 2022, arXiv:2203.08679, eq. 7). With alpha 1 and beta
    1 - p_y of the teacher, sample by sample, it is `kd`.

    Args:
        student_logits: [B, C]; the gradient flows here.
        teacher_logits: [B, C]; detached.
        label_indices: [B], int64.
        alpha: weight of the labelled class.
        beta: weight of the others.
        temperature: T, above 0.

    Returns:
        Scalar, nats; 0 where both agree. Finite for logits of 1e4, where the authors' code is not.

    Raises:
        ValueError: if the shapes do not fit, or there are fewer than 3 classes.
    """
    require_same_logits(student_logits, teacher_logits)
    require_classes(student_logits, label_indices, least=3)
    student = widen(student_logits) / temperature
    teacher = widen(teacher_logits.detach()) / temperature
    of_target = _kl(_target_or_not(student, label_indices), _target_or_not(teacher, label_indices))
    of_others = _kl(
        F.log_softmax(other_logits(student, label_indices), 1),
        F.log_softmax(other_logits(teacher, label_indices), 1),
    )
    return (alpha * of_target + beta * of_others) * temperature**2


def nkd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    label_indices: Tensor,
    *,
    gamma: NonNegative = 1.5,
    temperature: Positive = 1.0,
) -> Tensor:
    """-p_t(y) log p_s(y) - gamma T^2 sum_c n_t(c) log n_s(c), mean over the batch.

    n is the softmax at temperature T over all classes c but y; the first term has no temperature (Yang et
    al. 2023, arXiv:2303.13005, eq. 7). A cross-entropy: its least value is not 0.

    Args:
        student_logits: [B, C]; the gradient flows here.
        teacher_logits: [B, C]; detached.
        label_indices: [B], int64.
        gamma: weight of the other classes.
        temperature: T, above 0.

    Returns:
        Scalar, nats.

    Raises:
        ValueError: if the shapes do not fit, or there are fewer than 3 classes.
    """
    require_same_logits(student_logits, teacher_logits)
    require_classes(student_logits, label_indices, least=3)
    student, teacher = widen(student_logits), widen(teacher_logits.detach())
    rows = label_indices.unsqueeze(1)
    target = -F.softmax(teacher, 1).gather(1, rows) * F.log_softmax(student, 1).gather(1, rows)
    wanted = F.softmax(other_logits(teacher, label_indices) / temperature, 1)
    rest = -(wanted * F.log_softmax(other_logits(student, label_indices) / temperature, 1)).sum(1)
    return target.mean() + gamma * temperature**2 * rest.mean()


def other_logits(logits: Tensor, labels: Tensor) -> Tensor:
    """Return [B, C - 1]: `logits` [B, C] without those of the labels [B]."""
    places = torch.arange(logits.shape[1] - 1, device=logits.device)
    # By number, not by mask: how many a mask keeps the host would have to wait for.
    return logits.gather(1, places + (places >= labels.unsqueeze(1)))


def _target_or_not(logits: Tensor, labels: Tensor) -> Tensor:
    """Log-probabilities [B, 2] of the label and of all else; of logits, since 1 - p would round to 0."""
    target = logits.gather(1, labels.unsqueeze(1)).squeeze(1)
    both = torch.stack([target, other_logits(logits, labels).logsumexp(1)], dim=1)
    return F.log_softmax(both, dim=1)


def _kl(student: Tensor, teacher: Tensor) -> Tensor:
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)

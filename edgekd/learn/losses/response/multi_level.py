"""Losses that compare answers by sample, by batch and by class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from edgekd.learn.shapes import want_same_logits
from edgekd.learn.shapes import widened

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Positive

SPAN = (0.5, 0.75, 1.0, 1.25, 1.5)
"""The temperatures as parts of the middle one: 2, 3, 4, 5, 6 of 4."""


def mlkd(student_logits: Tensor, teacher_logits: Tensor, *, temperature: Positive = 4.0) -> Tensor:
    """Sum over five temperatures of the instance, batch and class terms.

    T^2 KL(p_t || p_s) + |P_t P_t' - P_s P_s'|^2 / B + |P_t' P_t - P_s' P_s|^2 / C, where P are the softened
    probabilities [B, C] (Jin et al. 2023, CVPR, eq. 4 to 8). The authors' masks by confidence multiply
    an already reduced number and are left out. The class term grows as (B / C)^2: with few classes and
    large batches it drowns the others, and the authors' weight, 0.9 for 100 classes, ends at chance
    for 10. Hence the smaller one.

    Args:
        student_logits: [B, C]; the gradient flows here.
        teacher_logits: [B, C]; detached.
        temperature: the middle one, above 0; the others are a half to one and a half times that.

    Returns:
        Scalar; 0 where both agree.

    Raises:
        ValueError: if the shapes differ or are not [B, C].
    """
    want_same_logits(student_logits, teacher_logits)
    student, teacher = widened(student_logits), widened(teacher_logits.detach())
    terms = [_at(student, teacher, temperature * part) for part in SPAN]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _at(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    log_s, log_t = (F.log_softmax(logits / temperature, 1) for logits in (student, teacher))
    s, t = log_s.exp(), log_t.exp()
    instance = F.kl_div(log_s, log_t, reduction="batchmean", log_target=True) * temperature**2
    return instance + across_samples(s, t) + across_classes(s, t)


def across_samples(student: Tensor, teacher: Tensor) -> Tensor:
    """|P_t P_t' - P_s P_s'|^2 / B of probabilities P [B, C] (eq. 6)."""
    return (teacher @ teacher.T - student @ student.T).square().sum() / student.shape[0]


def across_classes(student: Tensor, teacher: Tensor) -> Tensor:
    """|P_t' P_t - P_s' P_s|^2 / C of probabilities P [B, C] (eq. 8)."""
    return (teacher.T @ teacher - student.T @ student).square().sum() / student.shape[1]

"""Losses that compare answers by sample, by batch and by class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import require_same_logits
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Count
    from edgekd.settings import Fraction
    from edgekd.settings import NonNegative
    from edgekd.settings import Positive


def mlkd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    temperature: Positive = 4.0,
    spread: Fraction = 0.5,
    temperatures: Count = 5,
    instance: NonNegative = 1.0,
    batch: NonNegative = 1.0,
    classes: NonNegative = 1.0,
) -> Tensor:
    """Sum over several temperatures of the instance, batch and class terms, each by its weight.

    T^2 KL(p_t || p_s) + |P_t P_t' - P_s P_s'|^2 / B + |P_t' P_t - P_s' P_s|^2 / C, where P are the softened
    probabilities [B, C] (Jin et al. 2023, CVPR, eq. 4 to 8). The authors' masks by confidence multiply
    an already reduced number and are left out. The class term grows as (B / C)^2: with few classes and
    large batches it drowns the others; the authors' weight, 0.9, is for 100 classes and is scaled down
    for fewer. Temperatures 2, 3, 4, 5, 6 are the authors'.

    Args:
        student_logits: [B, C]; the gradient flows here.
        teacher_logits: [B, C]; detached.
        temperature: the middle one, above 0.
        spread: how far the others go from it, as a part of it, below 1.
        temperatures: how many there are, evenly from the lowest to the highest; one alone is the middle.
        instance: weight of the first term.
        batch: weight of the second term.
        classes: weight of the third term.

    Returns:
        Scalar; 0 where both agree.

    Raises:
        ValueError: if the shapes differ or are not [B, C], if `spread` is 1, or all weights are 0.
    """
    require_same_logits(student_logits, teacher_logits)
    weights = (instance, batch, classes)
    if spread == 1 or not any(weights):
        raise ValueError(f"want spread below 1 and a weight above 0, got {spread:g} and {weights}")
    student, teacher = widen(student_logits), widen(teacher_logits.detach())
    evenly = (
        [2 * i / (temperatures - 1) - 1 for i in range(temperatures)] if temperatures > 1 else [0]
    )
    terms = [_at(student, teacher, temperature * (1 + spread * at), weights) for at in evenly]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _at(
    student: Tensor, teacher: Tensor, temperature: float, weights: tuple[float, float, float]
) -> Tensor:
    log_s, log_t = (F.log_softmax(logits / temperature, 1) for logits in (student, teacher))
    s, t = log_s.exp(), log_t.exp()
    instance = F.kl_div(log_s, log_t, reduction="batchmean", log_target=True) * temperature**2
    first, second, third = weights
    return first * instance + second * across_samples(s, t) + third * across_classes(s, t)


def across_samples(student: Tensor, teacher: Tensor) -> Tensor:
    """|P_t P_t' - P_s P_s'|^2 / B of probabilities P [B, C] (eq. 6)."""
    return (teacher @ teacher.T - student @ student.T).square().sum() / student.shape[0]


def across_classes(student: Tensor, teacher: Tensor) -> Tensor:
    """|P_t' P_t - P_s' P_s|^2 / C of probabilities P [B, C] (eq. 8)."""
    return (teacher.T @ teacher - student.T @ student).square().sum() / student.shape[1]

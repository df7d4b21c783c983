"""Soft targets whose temperature is learned, or is the teacher's alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import require_same_logits
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Positive


def ctkd(student_logits: Tensor, teacher_logits: Tensor, temperature: Tensor) -> Tensor:
    """T^2 KL(p_t^T || p_s^T) at a temperature that is a tensor, so that it has a gradient, too.

    The student lowers it while the temperature, behind a reversed gradient, raises it (Li et al. 2023,
    arXiv:2211.16231, adversarial distillation). T^2 is differentiated as well, as the authors do.

    Args:
        student_logits: [B, C]; the gradient flows here.
        teacher_logits: [B, C]; detached.
        temperature: T [], above 0; and here.

    Returns:
        Scalar, nats; 0 where both softened answers agree.

    Raises:
        ValueError: if the shapes do not fit.
    """
    require_same_logits(student_logits, teacher_logits)
    if temperature.ndim:
        raise ValueError(f"want one temperature [], got {tuple(temperature.shape)}")
    student = F.log_softmax(widen(student_logits) / temperature, 1)
    teacher = F.log_softmax(widen(teacher_logits.detach()) / temperature, 1)
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2


def ttm(student_logits: Tensor, teacher_logits: Tensor, *, temperature: Positive = 10.0) -> Tensor:
    """KL(p_t^T || p_s), mean over the batch: the student's answer has no temperature, and there is no T^2.

    p_t^T is the power transform p_t^(1 / T), normalized (Zheng and Yang 2024, arXiv:2402.11148, sec. 3).

    Args:
        student_logits: [B, C]; the gradient flows here.
        teacher_logits: [B, C]; detached.
        temperature: T of the teacher, above 0.

    Returns:
        Scalar, nats; 0 where the student's answer is the teacher's softened one.

    Raises:
        ValueError: if the shapes differ or are not [B, C].
    """
    require_same_logits(student_logits, teacher_logits)
    student = F.log_softmax(widen(student_logits), 1)
    teacher = F.log_softmax(widen(teacher_logits.detach()) / temperature, 1)
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)


def wttm(student_logits: Tensor, teacher_logits: Tensor, *, temperature: Positive = 5.0) -> Tensor:
    """U KL(p_t^T || p_s), mean over the batch, where U = sum_c p_t(c)^(1 / T).

    `ttm` with samples weighted by the power sum of the teacher's answer: from 1 where it is sure up to
    C^(1 - 1 / T) where it is undecided (Zheng and Yang 2024, arXiv:2402.11148, sec. 4).

    Args:
        student_logits: [B, C]; the gradient flows here.
        teacher_logits: [B, C]; detached.
        temperature: T of the teacher, above 0.

    Returns:
        Scalar, nats; 0 where the student's answer is the teacher's softened one.

    Raises:
        ValueError: if the shapes differ or are not [B, C].
    """
    require_same_logits(student_logits, teacher_logits)
    student = F.log_softmax(widen(student_logits), 1)
    powers = F.log_softmax(widen(teacher_logits.detach()), 1) / temperature
    teacher = F.log_softmax(powers, 1)
    apart = F.kl_div(student, teacher, reduction="none", log_target=True).sum(1)
    return (powers.logsumexp(1).exp() * apart).mean()

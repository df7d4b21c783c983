"""Losses against a teacher's logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from edgekd.learn.mathematics.divergence import forward_kl
from edgekd.learn.mathematics.shapes import require_same_logits
from edgekd.learn.mathematics.shapes import widen
from edgekd.learn.mathematics.token_divergence import mean_divergence
from edgekd.learn.mathematics.tokens import MOST_AT_ONCE
from edgekd.learn.mathematics.top_k import TopKLogits

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Positive


def kd(student_logits: Tensor, teacher_logits: Tensor, *, temperature: Positive = 4.0) -> Tensor:
    """T^2 KL(p_t^T || p_s^T), summed over classes, mean over the batch.

    p^T = softmax(z / T). T^2 keeps the gradient's size when T changes (Hinton, Vinyals and Dean
    2015, arXiv:1503.02531, sec. 2).

    Args:
        student_logits: [B, C]; the gradient flows here.
        teacher_logits: [B, C]; detached.
        temperature: T, above 0.

    Returns:
        Scalar, nats; never negative, 0 where both softened answers agree.

    Raises:
        ValueError: if the shapes differ or are not [B, C].
    """
    if isinstance(teacher_logits, TopKLogits):
        return mean_divergence(forward_kl, student_logits, teacher_logits, temperature)
    require_same_logits(student_logits, teacher_logits)
    if student_logits.numel() > MOST_AT_ONCE:
        return mean_divergence(forward_kl, student_logits, teacher_logits, temperature)
    student = F.log_softmax(widen(student_logits) / temperature, dim=1)
    teacher = F.log_softmax(widen(teacher_logits.detach()) / temperature, dim=1)
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2


def logit_mse(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Mean over batch and classes of (z_s - z_t)^2 (Ba and Caruana 2014, arXiv:1312.6184, eq. 1).

    Args:
        student_logits: [B, C]; the gradient flows here.
        teacher_logits: [B, C]; detached.

    Returns:
        Scalar, squared logits.

    Raises:
        ValueError: if the shapes differ or are not [B, C].
    """
    require_same_logits(student_logits, teacher_logits)
    return F.mse_loss(widen(student_logits), widen(teacher_logits.detach()))


def deit_soft(
    student_logits: Tensor, teacher_logits: Tensor, *, temperature: Positive = 3.0
) -> Tensor:
    """`kd` divided by the number of classes, as DeiT reduces it (Touvron et al. 2021, arXiv:2012.12877, eq. 2).

    Args:
        student_logits: [B, C]; the gradient flows here.
        teacher_logits: [B, C]; detached.
        temperature: T, above 0.

    Returns:
        Scalar, nats; 0 where both softened answers agree.

    Raises:
        ValueError: if the shapes differ or are not [B, C].
    """
    return kd(student_logits, teacher_logits, temperature=temperature) / student_logits.shape[1]


def deit_hard(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Cross-entropy to the class that the teacher names (Touvron et al. 2021, arXiv:2012.12877, eq. 3).

    Args:
        student_logits: [B, C]; the gradient flows here.
        teacher_logits: [B, C].

    Returns:
        Scalar, nats.

    Raises:
        ValueError: if the shapes differ or are not [B, C].
    """
    require_same_logits(student_logits, teacher_logits)
    return F.cross_entropy(widen(student_logits), teacher_logits.argmax(1))


def bkd(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Binary cross-entropy of each class to the teacher's probability of it, mean over batch and classes.

    For students trained with binary cross-entropy (Hao et al. 2023, arXiv:2305.15781, eq. 4).

    Args:
        student_logits: [B, C]; the gradient flows here.
        teacher_logits: [B, C]; detached.

    Returns:
        Scalar, nats.

    Raises:
        ValueError: if the shapes differ or are not [B, C].
    """
    require_same_logits(student_logits, teacher_logits)
    wanted = F.softmax(widen(teacher_logits.detach()), dim=1)
    return F.binary_cross_entropy_with_logits(widen(student_logits), wanted)

"""Losses that take each channel by itself before they compare: as a distribution, or standardized."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from edgekd.learn.mathematics.fitting import require_same_shape
from edgekd.learn.mathematics.fitting import rows
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Positive

TINY = 1e-6
"""Added to the standard deviation before it divides, as the authors do."""


def cwd(
    student_features: Tensor, teacher_features: Tensor, *, temperature: Positive = 1.0
) -> Tensor:
    """T^2 KL(softmax(f_t / T) || softmax(f_s / T)) over the places, mean over samples and channels.

    (Shu et al. 2021, arXiv:2011.13256, eq. 5 and 6.)

    Args:
        student_features: [B, C, H, W] or [B, N, D]; the gradient flows here.
        teacher_features: of the same shape; detached.
        temperature: T, above 0.

    Returns:
        Scalar, nats; 0 where both agree but for a number added to each channel.

    Raises:
        ValueError: if the shapes differ, or there are no places.
    """
    student, teacher = _rows(student_features, teacher_features)
    log_s, log_t = (F.log_softmax(one / temperature, 2) for one in (student, teacher))
    divergence = F.kl_div(log_s, log_t, reduction="sum", log_target=True)
    return divergence * temperature**2 / (student.shape[0] * student.shape[1])


def pkd(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Half the mean of the squared difference of features standardized channel by channel.

    Mean and deviation are those over the batch and all places; it is 1 - r, Pearson's correlation (Cao et
    al. 2022, arXiv:2207.02039, sec. 3).

    Args:
        student_features: [B, C, H, W] or [B, N, D]; the gradient flows here.
        teacher_features: of the same shape; detached.

    Returns:
        Scalar, 0 to 2; scale and shift of a channel do not matter.

    Raises:
        ValueError: if the shapes differ, or there are no places.
    """
    student, teacher = _rows(student_features, teacher_features)
    return F.mse_loss(_standardized(student), _standardized(teacher)) / 2


def _rows(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    require_same_shape(student, teacher)
    if student.ndim == 2:
        raise ValueError(f"want [B, C, H, W] or [B, N, D], got {tuple(student.shape)}")
    return rows(widen(student)), rows(widen(teacher.detach()))


def _standardized(values: Tensor) -> Tensor:
    """[B, C, P], of each channel over B and P."""
    deviation, mean = torch.std_mean(values, dim=(0, 2), keepdim=True)
    return (values - mean) / (deviation + TINY)

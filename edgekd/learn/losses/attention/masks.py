"""Losses of which parts are hidden: what the student makes of the rest, or what tokens look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgekd.learn.mathematics.shapes import require_maps
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor


def mgd(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """sum (F_s - F_t)^2 / B, of what was generated from the student's masked map.

    Its companion masks and generates (Yang et al. 2022, arXiv:2205.01529, sec. 3). The paper weighs it
    2e-5 with 0.65 of the places hidden for detection, 7e-5 with 0.15 of the channels for classification.

    Args:
        student_features: [B, C, H, W]; the gradient flows here.
        teacher_features: [B, C, H, W]; detached.

    Returns:
        Scalar; 0 where both agree.

    Raises:
        ValueError: if the shapes differ.
    """
    require_maps(student_features, teacher_features)
    apart = widen(student_features) - widen(teacher_features.detach())
    return apart.square().sum() / len(apart)


def maskd(
    student_features: Tensor,
    teacher_features: Tensor,
    masks: Tensor,
    mask_weights: Tensor,
    token_loss: Tensor,
) -> Tensor:
    """sum_t w_t ||m_t (F_s - F_t)||^2 / (C sum m_t), mean over the batch; and what the tokens learn from.

    m_t is where token t looks in the teacher's map, w_t how much it counts (Huang et al. 2023,
    arXiv:2205.14589, sec. 3). The authors learn the tokens first and distil afterwards. Here both go on
    together: the companion gives masks and weights without gradient, so that the student cannot move a mask
    to where it is good already, and `token_loss` moves the tokens alone.

    Args:
        student_features: [B, C, H, W]; the gradient flows here.
        teacher_features: [B, C, H, W]; detached.
        masks: [B, T, H, W], 0 to 1; detached.
        mask_weights: [B, T], of which each row sums to 1; detached.
        token_loss: [], added as it is.

    Returns:
        Scalar; `token_loss` where both agree.

    Raises:
        ValueError: if the shapes do not fit.
    """
    require_maps(student_features, teacher_features)
    fit = masks.ndim == 4 and masks.shape[:2] == mask_weights.shape
    if (
        not fit
        or masks.shape[::2] != student_features.shape[::2]
        or (masks.shape[3] != student_features.shape[3])
    ):
        raise ValueError(
            f"want masks [B, T, H, W] and weights [B, T], got {tuple(masks.shape)} and "
            f"{tuple(mask_weights.shape)} for {tuple(student_features.shape)}"
        )
    looked, weights = widen(masks.detach()), widen(mask_weights.detach())
    apart = (widen(student_features) - widen(teacher_features.detach())).square().mean(1)
    seen = torch.einsum("bhw,bthw->bt", apart, looked.square())
    area = looked.sum((2, 3)).clamp(min=torch.finfo(looked.dtype).tiny)
    return (weights * seen / area).sum(1).mean() + token_loss

"""A loss over all pairs of layers, each sample weighing them for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgekd.learn.mathematics.shapes import require_several
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def semckd(
    student_stages: Sequence[Tensor], teacher_stages: Sequence[Tensor], attention: Tensor
) -> Tensor:
    """sum_t a_st MSE(F_st, F_t), mean over the batch and the student's layers s.

    a says how much of teacher layer t belongs to student layer s, sample by sample (Chen et al. 2021,
    arXiv:2012.03236, sec. 3). Its companion makes pairs and attention. The authors' weight is 400; with
    maps of mean square 3, as a ResNet-20's are, and Nesterov's momentum the projections, which end without
    a norm, then diverge from a rate of 0.04 on. Hence 50.

    Args:
        student_stages: S * T maps [B, C, H, W], pair (s, t) at s T + t; the gradient flows here.
        teacher_stages: as many, each of the shape of its partner; detached.
        attention: [B, S, T], of which each row sums to 1; the gradient flows here, too.

    Returns:
        Scalar; 0 where all pairs agree.

    Raises:
        ValueError: if the shapes do not fit, or the batch is of one.
    """
    pairs = list(zip(student_stages, teacher_stages, strict=False))
    fit = len(student_stages) == len(teacher_stages) and attention.ndim == 3
    if not fit or attention.shape[1] * attention.shape[2] != len(pairs) or not pairs:
        raise ValueError(
            f"want S * T pairs and attention [B, S, T], got {len(student_stages)} and "
            f"{len(teacher_stages)} maps and {tuple(attention.shape)}"
        )
    for one, other in pairs:
        if one.shape != other.shape or len(one) != len(attention):
            raise ValueError(
                f"want pairs of one shape, got {tuple(one.shape)} and {tuple(other.shape)}"
            )
    require_several(attention)
    apart = [
        (widen(one) - widen(other.detach())).square().flatten(1).mean(1) for one, other in pairs
    ]
    weighed = widen(attention).flatten(1) * torch.stack(apart, 1)
    return weighed.sum() / (attention.shape[0] * attention.shape[1])

"""A loss on how features change from stage to stage."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from edgekd.learn.mathematics.fitting import match_places
from edgekd.learn.mathematics.fitting import rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def fsp(
    student_stages: Sequence[Tensor],
    teacher_stages: Sequence[Tensor],
    *,
    column_norm: bool = False,
) -> Tensor:
    """Mean over i and j of (G_s - G_t)^2, mean over the batch, summed over consecutive stages a and b.

    G_ij = mean over the places of a_i b_j, the larger map pooled to the smaller (Yim et al. 2017, CVPR,
    eq. 1 and 2, with the mean over elements in place of the sum). The loss is of fourth order in the
    features: the authors train with it alone first, and a weight of 50, which copies of their code name,
    is multiplied by 0 there. Projectors where channels differ are ours.

    Args:
        student_stages: two or more of [B, C, H, W] or [B, N, D]; the gradient flows here.
        teacher_stages: as many, with the same channels, any places; detached.
        column_norm: take the norm over i instead, summed over j, mean over the batch.

    Returns:
        Scalar; 0 where both agree.

    Raises:
        ValueError: if there are fewer than two stages, or the channels do not fit.
    """
    if len(student_stages) != len(teacher_stages) or len(student_stages) < 2:
        raise ValueError(
            f"want two stages or more of both, got {len(student_stages)} and {len(teacher_stages)}"
        )
    terms = []
    taught = [stage.detach() for stage in teacher_stages]
    for mine, theirs in zip(pairwise(student_stages), pairwise(taught), strict=True):
        student, teacher = _flow(*mine), _flow(*theirs)
        if student.shape != teacher.shape:
            raise ValueError(
                "want stages with as many channels, "
                f"got flows {tuple(student.shape)} and {tuple(teacher.shape)}"
            )
        columns = (student - teacher).norm(dim=1).sum(1).mean()
        terms.append(columns if column_norm else F.mse_loss(student, teacher))
    return torch.stack(terms).sum()


def _flow(first: Tensor, second: Tensor) -> Tensor:
    """[B, C1, C2] of [B, C1, ...] and [B, C2, ...]."""
    a = rows(match_places(first, tuple(second.shape)))
    b = rows(match_places(second, tuple(first.shape)))
    return a @ b.transpose(1, 2) / a.shape[2]

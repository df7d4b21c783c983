"""Losses that carry over the correlation between samples: two formulas go by one name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from edgekd.learn.mathematics.directions import cosines
from edgekd.learn.mathematics.shapes import require_embeddings
from edgekd.learn.mathematics.shapes import require_several
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Count
    from edgekd.settings import Positive


def cc(student_embedding: Tensor, teacher_embedding: Tensor) -> Tensor:
    """sum_d |D_i| |D_i+1| with D = e_s - e_t, mean over neighbours in the batch.

    The form of Tian et al. 2020's benchmark (arXiv:1910.10699); the paper's own is `cc_taylor`. It depends
    on the order of the batch.

    Args:
        student_embedding: [B, D]; the gradient flows here.
        teacher_embedding: [B, D]; detached.

    Returns:
        Scalar; 0 where of any two neighbours one agrees.

    Raises:
        ValueError: if the shapes differ, or the batch is of one.
    """
    require_embeddings(student_embedding, teacher_embedding, same=True)
    require_several(student_embedding)
    apart = (widen(student_embedding) - widen(teacher_embedding.detach())).abs()
    return (apart[:-1] * apart[1:]).sum(1).mean()


def cc_taylor(
    student_embedding: Tensor,
    teacher_embedding: Tensor,
    *,
    gamma: Positive = 0.4,
    order: Count = 2,
) -> Tensor:
    """Mean over all B^2 pairs of (K_s - K_t)^2.

    K = exp(-2 gamma) sum_p (2 gamma cos(i, j))^p / p!, p up to `order`: the Gaussian kernel of embeddings of
    length 1 as its Taylor series (Peng et al. 2019, arXiv:1904.01802, sec. 3.3).

    Args:
        student_embedding: [B, D]; the gradient flows here.
        teacher_embedding: [B, E]; detached.
        gamma: of the kernel exp(-gamma |a - b|^2).
        order: of the series.

    Returns:
        Scalar; 0 where embeddings differ by a factor or a rotation.

    Raises:
        ValueError: if the shapes do not fit, or the batch is of one.
    """
    require_embeddings(student_embedding, teacher_embedding)
    require_several(student_embedding)
    student = cosines(widen(student_embedding))
    teacher = cosines(widen(teacher_embedding.detach()))
    return F.mse_loss(_kernel(student, gamma, order), _kernel(teacher, gamma, order))


def _kernel(cosine: Tensor, gamma: float, order: int) -> Tensor:
    total, term = torch.ones_like(cosine), torch.ones_like(cosine)
    for power in range(1, order + 1):
        term = term * (2 * gamma / power) * cosine
        total = total + term
    return math.exp(-2 * gamma) * total

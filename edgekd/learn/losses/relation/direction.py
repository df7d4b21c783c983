"""A loss that compares in which directions logits lie, whitened by how the differences vary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgekd.learn.mathematics.directions import cosines
from edgekd.learn.mathematics.directions import root
from edgekd.learn.mathematics.shapes import require_same_logits
from edgekd.learn.mathematics.shapes import require_several
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Positive


def skd_direction(
    student_logits: Tensor, teacher_logits: Tensor, *, tikhonov: Positive = 0.1
) -> Tensor:
    """Mean over samples i of sqrt(d_i^T (cov(d) + t I)^-1 d_i), a Mahalanobis length.

    d = cos(z_s) - cos(z_t), the matrices [B, B] of cosines between the logits of all pairs ("Streamlined
    Knowledge Distillation", CVPR 2026, the direction-wise part; its other part is `kd`).

    Args:
        student_logits: [B, C]; the gradient flows here, through the covariance too.
        teacher_logits: [B, C]; detached.
        tikhonov: t, above 0.

    Returns:
        Scalar; 0 where both have the same cosines, whatever the lengths.

    Raises:
        ValueError: if the shapes differ, or the batch is of one.
    """
    require_same_logits(student_logits, teacher_logits)
    require_several(student_logits)
    apart = cosines(widen(student_logits)) - cosines(widen(teacher_logits.detach()))
    centred = apart - apart.mean(1, keepdim=True)
    spread = centred @ centred.T / (len(apart) - 1) + tikhonov * torch.eye(
        len(apart), dtype=apart.dtype, device=apart.device
    )
    # torch.cov and cholesky would ask the device whether all went well; NaN says so, too.
    lower = torch.linalg.cholesky_ex(spread).L
    whitened = torch.linalg.solve_triangular(
        lower, apart, upper=False
    )  # [B, B]: the i-th column is of sample i, as d is symmetric
    return root(whitened.square().sum(0)).mean()

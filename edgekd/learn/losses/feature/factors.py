"""A loss on factors: what a small network makes of the features of each side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from edgekd.learn.mathematics.fitting import require_same_shape
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import NonNegative


def ft(
    student_features: Tensor,
    teacher_features: Tensor,
    reconstruction: Tensor,
    *,
    reconstruction_weight: NonNegative = 0.005,
) -> Tensor:
    """Mean over all elements of |F_s / |F_s| - F_t / |F_t||, plus what the paraphraser learns from.

    F are the factors of translator and paraphraser, normalized sample by sample (Kim, Park and Kwak 2018,
    arXiv:1802.04977, sec. 3). The authors train the paraphraser first; here both learn at once, and the
    difference of the factors does not move the paraphraser.

    Args:
        student_features: the translator's factors [B, C, H, W]; the gradient flows here.
        teacher_features: the paraphraser's factors, of the same shape; detached.
        reconstruction: [], the paraphraser's squared error on the teacher's features.
        reconstruction_weight: of that error; 1 in all with the default weight of 200.

    Returns:
        Scalar.

    Raises:
        ValueError: if the shapes differ.
    """
    require_same_shape(student_features, teacher_features)
    student = F.normalize(widen(student_features).flatten(1), dim=1)
    teacher = F.normalize(widen(teacher_features.detach()).flatten(1), dim=1)
    return (student - teacher).abs().mean() + reconstruction_weight * reconstruction

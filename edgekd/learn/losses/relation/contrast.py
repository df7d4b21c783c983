"""A loss that tells a sample's own representation in the other network from those of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

TINY = 1e-7
"""Added to the noise, as the authors do."""


def crd(student_scores: Tensor, teacher_scores: Tensor, noise_score: Tensor) -> Tensor:
    """Noise-contrastive estimation in both directions, sum over candidates, mean over the batch.

    -log h(first) - sum over the others of log(1 - h), h = P / (P + K / N): the probability that a candidate
    is of the same sample and not one of K drawn from N (Tian et al. 2020, arXiv:1910.10699, eq. 18 and 19).
    Its companion embeds both sides, holds the candidates and gives the scores log P.

    Args:
        student_scores: [B, 1 + K], the student's anchors against the teacher's side, the sample's own first;
            the gradient flows here.
        teacher_scores: [B, 1 + K], the teacher's anchors against the student's side; the gradient flows
            here, too: to the teacher's embedding, which is the companion's.
        noise_score: [], log(K / N).

    Returns:
        Scalar, nats.

    Raises:
        ValueError: if the shapes do not fit, or there is no candidate beside the sample itself.
    """
    one, other = tuple(student_scores.shape), tuple(teacher_scores.shape)
    if len(one) != 2 or one != other or one[1] < 2:
        raise ValueError(f"want two [B, 2 or more], got {one} and {other}")
    noise = widen(noise_score)
    return _estimation(widen(student_scores), noise) + _estimation(widen(teacher_scores), noise)


def _estimation(scores: Tensor, noise: Tensor) -> Tensor:
    steady = torch.log(noise.exp() + TINY)
    own = -F.softplus(steady - scores[:, 0])
    others = noise - torch.logaddexp(scores[:, 1:], steady)
    return -(own.sum() + others.sum()) / len(scores)

"""Several teachers' logits become one teacher's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from collections.abc import Callable

    Rule = Callable[[Tensor, Tensor | None, float], Tensor]


def blend(logits: Tensor, log_weights: Tensor, temperature: float) -> Tensor:
    """Return T log sum_k w_k softmax(z_k / T): logits whose softmax at T is the teachers' weighted mean.

    Distilled at T, such a mean is the weighted sum of the teachers' own terms, up to a constant.
    Softmax forgets a number that all classes share; the teachers' own (T logsumexp(z_k / T)),
    weighted alike, is put back, so that teachers who agree give their very logits.

    Args:
        logits: z [K, B, C] of K teachers.
        log_weights: log w [K, B], whose exponentials add up to 1 over K; -inf leaves a teacher out.
        temperature: T, above 0.

    Returns:
        [B, C], at least float32.

    Raises:
        ValueError: if the shapes do not fit, or T is not above 0.
    """
    _want_stack(logits)
    if log_weights.shape != logits.shape[:2]:
        raise ValueError(
            f"want [K, B, C] and [K, B], got {tuple(logits.shape)} and {tuple(log_weights.shape)}"
        )
    if temperature <= 0:
        raise ValueError(f"want temperature > 0, got {temperature}")
    softened, log_weights = widen(logits) / temperature, log_weights.unsqueeze(2)
    level = softened.logsumexp(2, keepdim=True)
    mixed = (softened - level + log_weights).logsumexp(0)
    return temperature * (mixed + (log_weights.exp() * level).sum(0))


def mean_logits(logits: Tensor, labels: Tensor | None = None, temperature: float = 4.0) -> Tensor:
    """The mean of the raw logits: the normalized geometric mean of the probabilities at any T.

    Args:
        logits: [K, B, ...] of K teachers; of numbers that are no logits it is their mean.
        labels: not looked at.
        temperature: not looked at.

    Returns:
        [B, ...], at least float32.

    Raises:
        ValueError: if there is no teacher, or no batch.
    """
    if logits.ndim < 2 or not len(logits):
        raise ValueError(f"want [K, B, ...] of at least one teacher, got {tuple(logits.shape)}")
    return widen(logits).mean(0)


def mean_probabilities(
    logits: Tensor, labels: Tensor | None = None, temperature: float = 4.0
) -> Tensor:
    """The mean of the softened probabilities (Hinton et al. 2015, arXiv:1503.02531, sec. 1).

    Args:
        logits: [K, B, C] of K teachers.
        labels: not looked at.
        temperature: T of the mean and of the loss that will read it, above 0.

    Returns:
        [B, C], at least float32; softmax of it over T is the mean.

    Raises:
        ValueError: if the shape does not fit, or T is not above 0.
    """
    _want_stack(logits)
    equal = widen(logits).new_full(logits.shape[:2], -math.log(len(logits)))
    return blend(logits, equal, temperature)


def by_entropy(logits: Tensor, labels: Tensor | None = None, temperature: float = 4.0) -> Tensor:
    """The mean of the softened probabilities, sample by sample weighted by exp(-H), normalized.

    H is the entropy of a teacher's answer at temperature 1, in nats. That surer teachers count more
    is the idea of Kwon et al. 2020 (ICASSP); the exponential is ours.

    Args:
        logits: [K, B, C] of K teachers.
        labels: not looked at.
        temperature: T of the mean, above 0.

    Returns:
        [B, C], at least float32.

    Raises:
        ValueError: if the shape does not fit, or T is not above 0.
    """
    _want_stack(logits)
    log_p = F.log_softmax(widen(logits), 2)
    return blend(logits, F.log_softmax((log_p.exp() * log_p).sum(2), 0), temperature)


def by_confidence(logits: Tensor, labels: Tensor | None = None, temperature: float = 4.0) -> Tensor:
    """The mean of the softened probabilities, weighted by how near each teacher is to the label.

    w_k = (1 - softmax_k(CE_k)) / (K - 1), where CE is a teacher's cross-entropy on the sample (Zhang,
    Chen and Wang 2022, CA-MKD, arXiv:2201.00007, eq. 2 and 3). One teacher has weight 1.

    Args:
        logits: [K, B, C] of K teachers.
        labels: class indices [B], or probabilities [B, C].
        temperature: T of the mean, above 0.

    Returns:
        [B, C], at least float32.

    Raises:
        ValueError: if the shapes do not fit, there are no labels, or T is not above 0.
    """
    _want_stack(logits)
    if labels is None or labels.shape[:1] != logits.shape[1:2]:
        got = None if labels is None else tuple(labels.shape)
        raise ValueError(f"want [K, B, C] and labels of B, got {tuple(logits.shape)} and {got}")
    if len(logits) == 1:
        return mean_logits(logits)
    wrong = [F.cross_entropy(z, labels, reduction="none") for z in widen(logits)]
    weights = (1 - F.softmax(torch.stack(wrong), 0)) / (len(logits) - 1)
    return blend(logits, weights.log(), temperature)


class TeacherWeights(nn.Module):
    """Learns how much each of K teachers counts for a sample, from what the student makes of it.

    w = softmax_k <theta_k, r> + b_k for a normalized representation r, with a vector theta for each
    teacher (Liu, Zhang and Wang 2020, AMTML-KD, arXiv:2103.04062, whose shared v is here a part of
    theta). All teachers count alike until it has learned.
    """

    def __init__(self, width: int, teachers: int) -> None:
        super().__init__()
        self.normalized = nn.LayerNorm(width, elementwise_affine=False)
        self.head = nn.Linear(width, teachers)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, representation: Tensor) -> Tensor:
        """The log-weights [K, B] of a representation [B, D]; the representation is not taught."""
        scores = self.head(self.normalized(representation.detach().float()))
        return F.log_softmax(scores, 1).T


def _want_stack(logits: Tensor) -> None:
    if logits.ndim != 3 or not len(logits):
        raise ValueError(f"want [K, B, C] of at least one teacher, got {tuple(logits.shape)}")


RULES: dict[str, Rule] = {
    "mean-logits": mean_logits,
    "mean-probabilities": mean_probabilities,
    "entropy": by_entropy,
    "confidence": by_confidence,
}
"""Rules that need no training, by the name a recipe uses."""

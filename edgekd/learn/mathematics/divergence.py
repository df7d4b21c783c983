"""How far two distributions are apart, token by token; of log-probabilities on the last axis.

Each takes the student's [..., V] and the teacher's [..., V] and gives nats [...]. The distributions may be
over a vocabulary, or over the classes a teacher kept and their rest (`edgekd.learn.mathematics.top_k`).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Divergence = Callable[[Tensor, Tensor], Tensor]
"""(student, teacher), log-probabilities [..., V] both, to [...]."""
PARTS = 2**40
"""What a probability of 1 is counted in."""


def forward_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(p_t || p_s) = sum_c p_t (log p_t - log p_s), the teacher's entropy included."""
    return (teacher.exp() * (teacher - student)).sum(-1)


def reverse_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """KL(p_s || p_t): `forward_kl` with the two exchanged."""
    return forward_kl(teacher, student)


def symmetric_kl(student: Tensor, teacher: Tensor, *, forward_weight: float) -> Tensor:
    """w KL(p_t || p_s) + (1 - w) KL(p_s || p_t)."""
    forward, reverse = forward_kl(student, teacher), reverse_kl(student, teacher)
    return forward_weight * forward + (1 - forward_weight) * reverse


def adaptive_kl(student: Tensor, teacher: Tensor, *, mu: float) -> Tensor:
    """w KL(p_t || p_s) + (1 - w) KL(p_s || p_t), with w the head's share of sum_c |p_t - p_s|.

    The head is every class that the teacher finds at most 1 - mu of its probability likelier than, so
    always the likeliest. w is not differentiated.
    """
    with torch.no_grad():
        probabilities, order = teacher.exp().sort(dim=-1, descending=True, stable=True)
        gap = (probabilities - student.exp().gather(-1, order)).abs()
        # Counted in whole numbers: a GPU adds up floats in no fixed order.
        parts = (probabilities * PARTS).long()
        head = gap * (parts.cumsum(-1) - parts <= (1 - mu) * PARTS)
        # Where both agree there is no gap to share, and both divergences are 0 in any mixture.
        weight = head.sum(-1) / gap.sum(-1).clamp(min=torch.finfo(gap.dtype).tiny)
    forward, reverse = forward_kl(student, teacher), reverse_kl(student, teacher)
    return weight * forward + (1 - weight) * reverse


def jsd(student: Tensor, teacher: Tensor, *, beta: float) -> Tensor:
    """beta KL(p_t || m) + (1 - beta) KL(p_s || m), with m = beta p_t + (1 - beta) p_s.

    At 0 the forward, at 1 the reverse KL: what it tends to when divided by beta (1 - beta).
    """
    if beta in (0, 1):
        return reverse_kl(student, teacher) if beta else forward_kl(student, teacher)
    middle = mixture(teacher, student, beta)
    return beta * forward_kl(middle, teacher) + (1 - beta) * forward_kl(middle, student)


def skewed_forward_kl(student: Tensor, teacher: Tensor, *, lam: float) -> Tensor:
    """KL(p_t || lam p_t + (1 - lam) p_s)."""
    return forward_kl(mixture(teacher, student, lam), teacher)


def skewed_reverse_kl(student: Tensor, teacher: Tensor, *, lam: float) -> Tensor:
    """KL(p_s || lam p_s + (1 - lam) p_t)."""
    return forward_kl(mixture(student, teacher, lam), student)


def total_variation(student: Tensor, teacher: Tensor) -> Tensor:
    """sum_c |p_t - p_s| / 2, from 0 to 1."""
    return (teacher.exp() - student.exp()).abs().sum(-1) / 2


def mixture(one: Tensor, other: Tensor, share: float) -> Tensor:
    """log(share p_one + (1 - share) p_other) of log-probabilities; no probability has to survive exp."""
    return torch.logaddexp(one + _log(share), other + _log(1 - share))


def _log(share: float) -> float:
    return math.log(share) if share > 0 else -math.inf

"""Kullback-Leibler divergences of teacher and student: either way round, and both."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from edgekd.learn.mathematics import divergence
from edgekd.learn.mathematics.token_divergence import mean_divergence

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Fraction
    from edgekd.settings import Positive


def forward_kl(
    student_logits: Tensor, teacher_logits: Tensor, *, temperature: Positive = 1.0
) -> Tensor:
    """T^2 KL(p_t^T || p_s^T), summed over the vocabulary, mean over the tokens.

    It makes the student cover all that the teacher may say (Kim and Rush 2016, arXiv:1606.07947,
    sec. 3.1). With [B, C] it is `kd`. The teacher's entropy is in it, so that its least value is 0;
    several libraries leave it out, with the same gradient.

    Args:
        student_logits: [B, C] or [..., V]; the gradient flows here.
        teacher_logits: the same shape; detached.
        temperature: T, above 0.

    Returns:
        Scalar, nats; never negative, 0 where both agree or there is no token.

    Raises:
        ValueError: if the shapes differ.
    """
    return mean_divergence(divergence.forward_kl, student_logits, teacher_logits, temperature)


def reverse_kl(
    student_logits: Tensor, teacher_logits: Tensor, *, temperature: Positive = 1.0
) -> Tensor:
    """T^2 KL(p_s^T || p_t^T), summed over the vocabulary, mean over the tokens.

    It keeps the student from saying what the teacher would not (Gu et al. 2024, arXiv:2306.08543,
    eq. 1, here of each token and not of sampled sequences).

    Args:
        student_logits: [B, C] or [..., V]; the gradient flows here.
        teacher_logits: the same shape; detached.
        temperature: T, above 0.

    Returns:
        Scalar, nats; never negative, 0 where both agree or there is no token.

    Raises:
        ValueError: if the shapes differ.
    """
    return mean_divergence(divergence.reverse_kl, student_logits, teacher_logits, temperature)


def symmetric_kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    forward_weight: Fraction = 0.5,
    temperature: Positive = 1.0,
) -> Tensor:
    """T^2 (w KL(p_t^T || p_s^T) + (1 - w) KL(p_s^T || p_t^T)), mean over the tokens.

    With w = 1/2 it is half of Jeffreys's divergence (Jeffreys 1946, doi:10.1098/rspa.1946.0056).

    Args:
        student_logits: [B, C] or [..., V]; the gradient flows here.
        teacher_logits: the same shape; detached.
        forward_weight: w, from 0 to 1.
        temperature: T, above 0.

    Returns:
        Scalar, nats; never negative, 0 where both agree or there is no token.

    Raises:
        ValueError: if the shapes differ.
    """
    weighted = functools.partial(divergence.symmetric_kl, forward_weight=forward_weight)
    return mean_divergence(weighted, student_logits, teacher_logits, temperature)


def adaptive_kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    mu: Fraction = 0.5,
    temperature: Positive = 1.0,
) -> Tensor:
    """T^2 (w KL(p_t^T || p_s^T) + (1 - w) KL(p_s^T || p_t^T)), w for each token, mean over the tokens.

    w is the part of sum_c |p_t - p_s| that lies in the teacher's head; the forward KL is the better at
    the head, the reverse KL at the tail (Wu et al. 2024, arXiv:2404.02657). w is not differentiated.

    Args:
        student_logits: [B, C] or [..., V]; the gradient flows here.
        teacher_logits: the same shape; detached.
        mu: the tail is those least likely classes whose probabilities add up to less.
        temperature: T, above 0.

    Returns:
        Scalar, nats; never negative, 0 where both agree or there is no token.

    Raises:
        ValueError: if the shapes differ.
    """
    adaptive = functools.partial(divergence.adaptive_kl, mu=mu)
    return mean_divergence(adaptive, student_logits, teacher_logits, temperature)

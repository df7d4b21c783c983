"""Divergences from a mixture of teacher and student: finite wherever one of the two is."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from edgekd.learn.mathematics import divergence
from edgekd.learn.mathematics.token_divergence import mean_divergence

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Fraction
    from edgekd.settings import Positive


def jsd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    beta: Fraction = 0.5,
    temperature: Positive = 1.0,
) -> Tensor:
    """T^2 (beta KL(p_t || m) + (1 - beta) KL(p_s || m)), m = beta p_t + (1 - beta) p_s, mean over the tokens.

    The generalised Jensen-Shannon divergence (Agarwal et al. 2024, arXiv:2306.13649, sec. 2). At beta 0 and 1
    it would be 0; there it is the forward and the reverse KL, which it tends to in direction.

    Args:
        student_logits: [B, C] or [..., V]; the gradient flows here.
        teacher_logits: the same shape; detached.
        beta: the teacher's part of the mixture, from 0 to 1; with 1/2 it is symmetric.
        temperature: T, above 0.

    Returns:
        Scalar, nats; never negative, at most T^2 ln 2 between beta 0 and 1; 0 where both agree or there
        is no token.

    Raises:
        ValueError: if the shapes differ.
    """
    generalised = functools.partial(divergence.jsd, beta=beta)
    return mean_divergence(generalised, student_logits, teacher_logits, temperature)


def skewed_forward_kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    lam: Fraction = 0.1,
    temperature: Positive = 1.0,
) -> Tensor:
    """T^2 KL(p_t || lam p_t + (1 - lam) p_s), mean over the tokens.

    The mixture bounds the gradient where the student gives almost no probability to what the teacher
    says (Ko et al. 2024, arXiv:2402.03898, sec. 3.1). With lam 0 it is the forward KL.

    Args:
        student_logits: [B, C] or [..., V]; the gradient flows here.
        teacher_logits: the same shape; detached.
        lam: the teacher's part of the mixture, from 0 to 1; with 1 nothing is learned.
        temperature: T, above 0.

    Returns:
        Scalar, nats; never negative, at most T^2 ln(1 / lam); 0 where both agree or there is no token.

    Raises:
        ValueError: if the shapes differ.
    """
    skewed = functools.partial(divergence.skewed_forward_kl, lam=lam)
    return mean_divergence(skewed, student_logits, teacher_logits, temperature)


def skewed_reverse_kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    lam: Fraction = 0.1,
    temperature: Positive = 1.0,
) -> Tensor:
    """T^2 KL(p_s || lam p_s + (1 - lam) p_t), mean over the tokens.

    The reverse KL, bounded where the teacher gives almost no probability to what the student says (Ko
    et al. 2024, arXiv:2402.03898, sec. 3.1). With lam 0 it is the reverse KL.

    Args:
        student_logits: [B, C] or [..., V]; the gradient flows here.
        teacher_logits: the same shape; detached.
        lam: the student's part of the mixture, from 0 to 1; with 1 nothing is learned.
        temperature: T, above 0.

    Returns:
        Scalar, nats; never negative, at most T^2 ln(1 / lam); 0 where both agree or there is no token.

    Raises:
        ValueError: if the shapes differ.
    """
    skewed = functools.partial(divergence.skewed_reverse_kl, lam=lam)
    return mean_divergence(skewed, student_logits, teacher_logits, temperature)

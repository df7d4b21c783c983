"""Divergences from the likeliest classes of a teacher, as if nothing else of its answers were kept."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING
from typing import Literal

from edgekd.learn.mathematics import divergence
from edgekd.learn.mathematics.token_divergence import mean_top_k_divergence

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Count
    from edgekd.settings import Fraction
    from edgekd.settings import Positive


def sparse_kl(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    top: Count = 50,
    missing: Literal["rest", "zero", "raw"] = "rest",
    temperature: Positive = 1.0,
) -> Tensor:
    """T^2 KL(p_t^T || p_s^T) over the teacher's k likeliest classes and their rest, mean over the tokens.

    To keep k and forget the rest misleads the student about all k (Anshumann et al. 2025,
    arXiv:2503.16870, show the bias). With the rest as one class more, a student that agrees on all k has
    nothing to learn.

    Args:
        student_logits: [B, C] or [..., V]; the gradient flows here.
        teacher_logits: the same shape; detached.
        top: k; all classes where there are fewer, which is `forward_kl`.
        missing: rest, zero (the teacher renormalised over k) or raw (the rest left out of the sum).
        temperature: T, above 0.

    Returns:
        Scalar, nats; never negative unless raw.

    Raises:
        ValueError: if the shapes differ.
    """
    return mean_top_k_divergence(
        divergence.forward_kl, student_logits, teacher_logits, top, missing, temperature
    )


def sparse_jsd(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    beta: Fraction = 0.5,
    top: Count = 50,
    missing: Literal["rest", "zero", "raw"] = "rest",
    temperature: Positive = 1.0,
) -> Tensor:
    """T^2 JSD over the teacher's k likeliest classes and their rest, mean over the tokens.

    The generalised Jensen-Shannon divergence (Agarwal et al. 2024, arXiv:2306.13649, sec. 2) of the kept
    classes.

    Args:
        student_logits: [B, C] or [..., V]; the gradient flows here.
        teacher_logits: the same shape; detached.
        beta: the teacher's part of the mixture, from 0 to 1.
        top: k; all classes where there are fewer, which is `jsd`.
        missing: rest, zero (the teacher renormalised over k) or raw (the rest left out of the sum).
        temperature: T, above 0.

    Returns:
        Scalar, nats; never negative unless raw.

    Raises:
        ValueError: if the shapes differ.
    """
    generalised = functools.partial(divergence.jsd, beta=beta)
    return mean_top_k_divergence(
        generalised, student_logits, teacher_logits, top, missing, temperature
    )


def sparse_tv(
    student_logits: Tensor,
    teacher_logits: Tensor,
    *,
    top: Count = 50,
    missing: Literal["rest", "zero", "raw"] = "rest",
    temperature: Positive = 1.0,
) -> Tensor:
    """T^2 / 2 sum |p_t^T - p_s^T| over the teacher's k likeliest classes and their rest.

    The total variation (Wen et al. 2023, arXiv:2307.15190, TVD) of the kept classes, mean over the
    tokens.

    Args:
        student_logits: [B, C] or [..., V]; the gradient flows here.
        teacher_logits: the same shape; detached.
        top: k; all classes where there are fewer, which is `total_variation`.
        missing: rest, zero (the teacher renormalised over k) or raw (the rest left out of the sum).
        temperature: T, above 0.

    Returns:
        Scalar, from 0 to T^2.

    Raises:
        ValueError: if the shapes differ.
    """
    return mean_top_k_divergence(
        divergence.total_variation,
        student_logits,
        teacher_logits,
        top,
        missing,
        temperature,
    )

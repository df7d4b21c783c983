"""Divergences from the likeliest classes of a teacher, as if nothing else of its answers were kept."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING
from typing import Literal

from edgekd.learn.mathematics import divergence
from edgekd.learn.mathematics.tokens import masked_mean
from edgekd.learn.mathematics.tokens import require_same_tokens
from edgekd.learn.mathematics.top_k import top_k
from edgekd.learn.mathematics.top_k import top_k_divergence

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.learn.mathematics.divergence import Divergence
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
    return _mean(divergence.forward_kl, student_logits, teacher_logits, top, missing, temperature)


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
    return _mean(generalised, student_logits, teacher_logits, top, missing, temperature)


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
    return _mean(
        divergence.total_variation, student_logits, teacher_logits, top, missing, temperature
    )


def _mean(
    between: Divergence,
    student_logits: Tensor,
    teacher_logits: Tensor,
    top: int,
    missing: str,
    temperature: float,
) -> Tensor:
    require_same_tokens(student_logits, teacher_logits)
    kept = top_k(teacher_logits, top, temperature=temperature)
    return masked_mean(top_k_divergence(between, missing, temperature)(student_logits, *kept))

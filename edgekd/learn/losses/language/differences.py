"""Absolute differences of probabilities: class by class, or rank by rank where vocabularies differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from edgekd.learn.mathematics import divergence
from edgekd.learn.mathematics.shapes import widen
from edgekd.learn.mathematics.token_divergence import mean_divergence
from edgekd.learn.mathematics.tokens import compute_rows
from edgekd.learn.mathematics.tokens import masked_mean
from edgekd.learn.mathematics.tokens import require_same_tokens

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Positive


def total_variation(
    student_logits: Tensor, teacher_logits: Tensor, *, temperature: Positive = 1.0
) -> Tensor:
    """T^2 / 2 sum_c |p_t^T - p_s^T|, mean over the tokens (Wen et al. 2023, arXiv:2307.15190, TVD).

    Its gradient falls as 1 / T only, so that with T^2 it grows with T.

    Args:
        student_logits: [B, C] or [..., V]; the gradient flows here.
        teacher_logits: the same shape; detached.
        temperature: T, above 0.

    Returns:
        Scalar, from 0 where both agree (or there is no token) to T^2.

    Raises:
        ValueError: if the shapes differ.
    """
    return mean_divergence(divergence.total_variation, student_logits, teacher_logits, temperature)


def uld(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """sum_i |p_t(i) - p_s(i)|, each sorted by itself, mean over the tokens.

    The i-th likeliest of one is compared with the i-th likeliest of the other, whatever they are: what it
    costs to turn one into the other where all classes are equally far apart (Boizard et al. 2024,
    arXiv:2402.12030, eq. 4 and 5). The smaller vocabulary is filled up with zeros. A teacher with another tokenizer has
    `texts` in a recipe; there `align` says which of its tokens are compared.

    Args:
        student_logits: [B, C] or [..., V]; the gradient flows here.
        teacher_logits: [..., U], the same tokens, another vocabulary; detached.

    Returns:
        Scalar, from 0 to 2.

    Raises:
        ValueError: if the tokens differ.
    """
    require_same_tokens(student_logits, teacher_logits, same_vocabulary=False)
    return masked_mean(compute_rows(ranked_difference)(student_logits, teacher_logits.detach()))


def ranked_difference(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """`uld` of each token: [..., V] and [..., U] to [...]."""
    require_same_tokens(student_logits, teacher_logits, same_vocabulary=False)
    student = F.softmax(widen(student_logits), -1).sort(-1, descending=True).values
    teacher = F.softmax(widen(teacher_logits.detach()), -1).sort(-1, descending=True).values
    missing = teacher.shape[-1] - student.shape[-1]
    student, teacher = (
        F.pad(student, (0, max(missing, 0))),
        F.pad(teacher, (0, max(-missing, 0))),
    )
    return (teacher - student).abs().sum(-1)

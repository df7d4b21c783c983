"""The mean divergence of a student from a teacher over tokens, whatever form the teacher's answers have."""

from __future__ import annotations

import math

from torch import Tensor

from edgekd.learn.mathematics.divergence import Divergence
from edgekd.learn.mathematics.tokens import compute_rows
from edgekd.learn.mathematics.tokens import masked_mean
from edgekd.learn.mathematics.tokens import require_same_tokens
from edgekd.learn.mathematics.tokens import soften
from edgekd.learn.mathematics.top_k import TopKLogits
from edgekd.learn.mathematics.top_k import top_k
from edgekd.learn.mathematics.top_k import top_k_divergence


def mean_divergence(
    divergence: Divergence,
    student_logits: Tensor,
    teacher_logits: Tensor | TopKLogits,
    temperature: float = 1.0,
) -> Tensor:
    """T^2 times the divergence at temperature T, mean over the tokens.

    Of a teacher of whom the likeliest classes are stored it is that over those and all others as one class more, a
    lower bound.

    Args:
        divergence: of log-probabilities.
        student_logits: [..., V]; the gradient flows here.
        teacher_logits: the same shape; detached.
        temperature: T, above 0.

    Returns:
        Scalar; 0 where there is no token.

    Raises:
        ValueError: if the shapes differ.
    """
    if isinstance(teacher_logits, TopKLogits):
        return _mean_stored(divergence, student_logits, teacher_logits, "rest", temperature)
    require_same_tokens(student_logits, teacher_logits)
    rows = compute_rows(soften(divergence, temperature))
    return masked_mean(rows(student_logits, teacher_logits.detach()))


def mean_top_k_divergence(
    divergence: Divergence,
    student_logits: Tensor,
    teacher_logits: Tensor | TopKLogits,
    top: int,
    missing: str,
    temperature: float,
) -> Tensor:
    """The same over a teacher's `top` likeliest classes, or as many as are stored, and what `missing` makes of all
    others (see `top_k_divergence`).

    Raises:
        ValueError: if the shapes differ.
    """
    if isinstance(teacher_logits, TopKLogits):
        stored = _keep(teacher_logits, top, temperature)
        return _mean_stored(divergence, student_logits, stored, missing, temperature)
    require_same_tokens(student_logits, teacher_logits)
    compare = top_k_divergence(divergence, missing, temperature)

    def of_logits(student: Tensor, teacher: Tensor) -> Tensor:
        return compare(student, *top_k(teacher, top, temperature=temperature))

    return masked_mean(compute_rows(of_logits)(student_logits, teacher_logits.detach()))


def _mean_stored(
    divergence: Divergence,
    student_logits: Tensor,
    teacher: TopKLogits,
    missing: str,
    temperature: float,
) -> Tensor:
    if tuple(student_logits.shape) != teacher.shape:
        got = f"{tuple(student_logits.shape)} and {teacher.shape}"
        raise ValueError(f"want two [..., V] of the same tokens, got {got}")
    rows = compute_rows(top_k_divergence(divergence, missing, temperature))
    stored = teacher.log_probabilities(temperature)
    return masked_mean(rows(student_logits, teacher.indices, *stored))


def _keep(stored: TopKLogits, top: int, temperature: float) -> TopKLogits:
    """The `top` likeliest of those that are stored; the others weigh with the rest."""
    if top >= stored.indices.shape[-1]:
        return stored
    values, places = stored.values.topk(top, dim=-1)
    chosen = stored.values.scatter(-1, places, -math.inf)
    beside = (chosen / temperature).logsumexp(-1)
    others = stored.weigh_others(temperature) / temperature
    joined = others.logaddexp(beside) * temperature
    indices = stored.indices.gather(-1, places)
    return TopKLogits(indices, values, joined, stored.classes, temperature)

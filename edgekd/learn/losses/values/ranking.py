"""Losses on scores, the products of vectors: how far, and in which order, candidates lie behind one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import require_several
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Positive


def margin_mse(student_values: Tensor, teacher_values: Tensor, pairs: Tensor) -> Tensor:
    """((q.p - q.n)_s - (q.p - q.n)_t)^2, mean over all triplets that a batch holds.

    Products of vectors, not cosines (Hofstaetter et al. 2020, arXiv:2010.02666, eq. 5). A sample is the query q, its
    partner p; every sample of another pair is an n. The teacher's scores are those of its own vectors.

    Args:
        student_values: [B, D]; the gradient flows here.
        teacher_values: [B, D']; detached.
        pairs: [B, ...], in the first column a number that those have in common which belong together.

    Returns:
        Scalar; 0 where all margins agree, and, without gradient, where no sample's partner is in the batch.

    Raises:
        ValueError: if the batches differ, or are of one.
    """
    ours, theirs, partners = _score(student_values, teacher_values, pairs)
    away = ~torch.eye(len(ours), dtype=torch.bool, device=ours.device)
    positive, negative = partners & away, ~partners
    triplets = positive[:, :, None] & negative[:, None, :]
    if not triplets.any():
        return ours.sum() * 0
    return compare_margins(
        ours[:, :, None], ours[:, None, :], theirs[:, :, None], theirs[:, None, :]
    )[triplets].mean()


def compare_margins(
    student_positive: Tensor,
    student_negative: Tensor,
    teacher_positive: Tensor,
    teacher_negative: Tensor,
) -> Tensor:
    """The squared difference of margins, each [...] of one query's score of what belongs to it and of what does not."""
    ours = student_positive - student_negative
    return (ours - (teacher_positive - teacher_negative)).square()


def score_kl(
    student_values: Tensor, teacher_values: Tensor, pairs: Tensor, *, temperature: Positive = 1.0
) -> Tensor:
    """T^2 KL(p_t || p_s) of softmax(q.d / T) over a query's candidates, mean over the queries.

    A sample whose partner is in the batch is a query, all others its candidates (Santhanam et al. 2022,
    arXiv:2112.01488, sec. 3.2, here with scores of vectors). Products, not cosines; with vectors of length 1 a
    temperature near 0.05 tells them apart.

    Args:
        student_values: [B, D]; the gradient flows here.
        teacher_values: [B, D']; detached.
        pairs: [B, ...], in the first column a number that those have in common which belong together.
        temperature: T, above 0.

    Returns:
        Scalar, nats; never negative; 0, without gradient, where no sample's partner is in the batch.

    Raises:
        ValueError: if the batches differ, or are of fewer than three, which leaves nothing to choose.
    """
    require_several(student_values, least=3)
    ours, theirs, partners = _score(student_values, teacher_values, pairs)
    away = ~torch.eye(len(ours), dtype=torch.bool, device=ours.device)
    asked = (partners & away).any(1)
    if not asked.any():
        return ours.sum() * 0
    shape = (len(ours), len(ours) - 1)
    mine, wanted = (each[away].reshape(shape)[asked] for each in (ours, theirs))
    return compare_scores(mine, wanted, temperature).mean()


def compare_scores(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """T^2 KL(softmax(t / T) || softmax(s / T)) over the last axis of scores, [...] of [..., candidates]."""
    ours, theirs = (F.log_softmax(each / temperature, -1) for each in (student, teacher))
    return F.kl_div(ours, theirs, reduction="none", log_target=True).sum(-1) * temperature**2


def _score(student: Tensor, teacher: Tensor, pairs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Products of all with all, [B, B], of both; and who belongs together, itself included."""
    shapes = [tuple(each.shape) for each in (student, teacher, pairs)]
    if any(len(each) != 2 for each in shapes) or len({each[0] for each in shapes}) != 1:
        raise ValueError(f"want two [B, D] and [B, 3], got {', '.join(map(str, shapes))}")
    require_several(student)
    ours, theirs = widen(student), widen(teacher.detach())
    numbers = pairs[:, 0]
    return ours @ ours.T, theirs @ theirs.T, numbers[:, None] == numbers

"""Losses on vectors that stand for samples: their directions, and how they lie to one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from edgekd.learn.mathematics.directions import cosines
from edgekd.learn.mathematics.directions import unit
from edgekd.learn.mathematics.shapes import require_several
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Positive


def value_cosine(student_values: Tensor, teacher_values: Tensor) -> Tensor:
    """1 - cos(e_s, e_t), mean over the batch (Reimers and Gurevych 2020, arXiv:2004.09813, by the angle).

    Args:
        student_values: [B, D]; the gradient flows here.
        teacher_values: [B, D]; detached.

    Returns:
        Scalar, from 0 to 2; 0 where all directions are alike.

    Raises:
        ValueError: if the shapes differ.
    """
    _require_vectors(student_values, teacher_values)
    ours, theirs = unit(widen(student_values)), unit(widen(teacher_values.detach()))
    return (1 - (ours * theirs).sum(1)).mean()


def similarity_kl(
    student_values: Tensor, teacher_values: Tensor, *, temperature: Positive = 0.05
) -> Tensor:
    """KL(p_t || p_s) of softmax(cos / T) over the other samples of the batch, mean over the batch.

    Each sample says how alike it finds the others (Passalis and Tefas 2018, arXiv:1803.10837, here of cosines and
    without itself); the vectors of both may be of any two lengths.

    Args:
        student_values: [B, D]; the gradient flows here.
        teacher_values: [B, D']; detached.
        temperature: T, above 0.

    Returns:
        Scalar, nats; never negative, 0 where all similarities are alike.

    Raises:
        ValueError: if the batches differ, or are of one.
    """
    if student_values.ndim != 2 or len(student_values) != len(teacher_values):
        got = f"{tuple(student_values.shape)} and {tuple(teacher_values.shape)}"
        raise ValueError(f"want two [B, D], got {got}")
    require_several(student_values)
    ours, theirs = (
        F.log_softmax(_others(cosines(widen(each))) / temperature, dim=1)
        for each in (student_values, teacher_values.detach())
    )
    return (theirs.exp() * (theirs - ours)).sum(1).mean()


def pair_contrast(student_values: Tensor, pairs: Tensor, *, temperature: Positive = 0.05) -> Tensor:
    """-log of the share of softmax(cos / T) over the other samples that those of the same pair have, mean over the
    samples that have one in the batch (van den Oord et al. 2018, arXiv:1807.03748; Henderson et al. 2017,
    arXiv:1705.00652).

    Args:
        student_values: [B, D]; the gradient flows here.
        pairs: [B, ...], in the first column a number that those have in common which belong together.
        temperature: T, above 0.

    Returns:
        Scalar, nats; 0, without gradient, where no sample's partner is in the batch.

    Raises:
        ValueError: if the batches differ, or are of one.
    """
    if student_values.ndim != 2 or pairs.ndim != 2 or len(student_values) != len(pairs):
        got = f"{tuple(student_values.shape)} and {tuple(pairs.shape)}"
        raise ValueError(f"want [B, D] and [B, 3], got {got}")
    require_several(student_values)
    numbers = pairs[:, 0]
    partners = _others(numbers[:, None] == numbers)
    shares = F.log_softmax(_others(cosines(widen(student_values))) / temperature, dim=1)
    asked = partners.any(1)
    if not asked.any():
        return shares.sum() * 0
    together = shares.masked_fill(~partners, -torch.inf)[asked]
    return -torch.logsumexp(together, dim=1).mean()


def _others(matrix: Tensor) -> Tensor:
    """[B, B - 1] of [B, B]: each row without what stands on the diagonal."""
    count = len(matrix)
    away = ~torch.eye(count, dtype=torch.bool, device=matrix.device)
    return matrix[away].reshape(count, count - 1)


def _require_vectors(student: Tensor, teacher: Tensor) -> None:
    if student.ndim != 2 or student.shape != teacher.shape:
        got = f"{tuple(student.shape)} and {tuple(teacher.shape)}"
        raise ValueError(f"want two [B, D], got {got}")

"""Losses that compare how far samples lie from one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from edgekd.learn.mathematics.directions import differences
from edgekd.learn.mathematics.directions import length
from edgekd.learn.mathematics.directions import unit
from edgekd.learn.mathematics.fitting import pool_maps
from edgekd.learn.mathematics.shapes import require_embeddings
from edgekd.learn.mathematics.shapes import require_same_logits
from edgekd.learn.mathematics.shapes import require_several
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from edgekd.settings import NonNegative

TINY = 1e-12
"""The least squared distance of two samples, so that the largest of a batch can divide."""


def rkd(
    student_embedding: Tensor,
    teacher_embedding: Tensor,
    *,
    distance: NonNegative = 25.0,
    angle: NonNegative = 50.0,
    normalized: bool = False,
) -> Tensor:
    """Smooth L1 of distances (over their mean) and of the cosines in all triangles of a batch.

    Of the student against the teacher, mean over B^2 pairs and B^3 triples, those of a sample with itself
    included (Park et al. 2019, arXiv:1904.05068, sec. 3.2). Neither shift, rotation nor scale of an
    embedding changes it.

    Args:
        student_embedding: [B, D]; the gradient flows here.
        teacher_embedding: [B, E]; detached.
        distance: weight of the distances.
        angle: weight of the angles.
        normalized: whether the embeddings are brought to length 1 first, as MMRazor does; the paper's
            are not.

    Returns:
        Scalar; 0 where both embeddings have one shape.

    Raises:
        ValueError: if the shapes do not fit, or the batch is below 3, where it is 0.
    """
    require_embeddings(student_embedding, teacher_embedding)
    require_several(student_embedding, least=3)
    student, teacher = widen(student_embedding), widen(teacher_embedding.detach())
    if normalized:
        student, teacher = unit(student), unit(teacher)
    sides, theirs = differences(student), differences(teacher)
    return distance * F.smooth_l1_loss(_over_mean(sides), _over_mean(theirs)) + angle * (
        F.smooth_l1_loss(_angles(sides), _angles(theirs))
    )


def _over_mean(sides: Tensor) -> Tensor:
    """Lengths [B, B] over the mean of those that are not 0."""
    lengths = length(sides).squeeze(2)
    apart = lengths > 0
    return lengths * apart.sum() / lengths.sum().masked_fill(~apart.any(), 1)


def _angles(sides: Tensor) -> Tensor:
    """[B, B, B]: the cosine at i of the triangle i, j, k."""
    directions = unit(sides)
    return directions @ directions.transpose(1, 2)


def irg(
    student_logits: Tensor,
    teacher_logits: Tensor,
    student_stages: Sequence[Tensor],
    teacher_stages: Sequence[Tensor],
    student_embedding: Tensor,
    teacher_embedding: Tensor,
    *,
    vertex: NonNegative = 0.1,
    edge: NonNegative = 5.0,
    transform: NonNegative = 5.0,
) -> Tensor:
    """Mean squared differences of two instance relationship graphs.

    Vertices are the logits. Edges are squared distances of samples over their largest, of the embedding and
    of each stage. A transformation is each sample's squared distance between two stages that follow one
    another, over its largest (Liu et al. 2019, CVPR, sec. 3, with the weights of Knowledge Distillation
    Zoo, which is public and has two stages). Between stages the larger map is pooled to the smaller, and the
    wider one's channels are averaged to the other's number.

    Args:
        student_logits: [B, C]; the gradient flows here.
        teacher_logits: [B, C]; detached.
        student_stages: two maps [B, *, H, W] or more, shallow to deep; the gradient flows here.
        teacher_stages: as many, detached; channels and sides need not be the student's.
        student_embedding: [B, D]; the gradient flows here.
        teacher_embedding: [B, E]; detached.
        vertex: weight of the vertices.
        edge: weight of the mean over the embedding and all stages.
        transform: weight of the mean over all transformations.

    Returns:
        Scalar; 0 where both graphs agree.

    Raises:
        ValueError: if the shapes do not fit, there are fewer than two stages, or the batch is of one.
    """
    require_same_logits(student_logits, teacher_logits)
    require_embeddings(student_embedding, teacher_embedding)
    require_several(student_logits)
    _want_stages(student_stages, teacher_stages)
    points = F.mse_loss(widen(student_logits), widen(teacher_logits.detach()))
    student, teacher = ([widen(s) for s in side] for side in (student_stages, teacher_stages))
    teacher = [stage.detach() for stage in teacher]
    ours = [widen(student_embedding), *student]
    theirs = [widen(teacher_embedding.detach()), *teacher]
    edges = [F.mse_loss(_edges(a), _edges(b)) for a, b in zip(ours, theirs, strict=True)]
    moves = [F.mse_loss(a, b) for a, b in zip(_moves(student), _moves(teacher), strict=True)]
    return (
        vertex * points + edge * torch.stack(edges).mean() + transform * torch.stack(moves).mean()
    )


def _edges(features: Tensor) -> Tensor:
    """Squared distances [B, B] over the largest."""
    flat = features.flatten(1)
    flat = flat - flat.mean(0)  # changes no distance, and leaves less to cancel
    squares = flat.square().sum(1)
    apart = (squares.unsqueeze(0) + squares.unsqueeze(1) - 2 * flat @ flat.T).clamp(min=TINY)
    apart = apart * (1 - torch.eye(len(flat), dtype=flat.dtype, device=flat.device))
    return apart / apart.max()


def _moves(stages: Sequence[Tensor]) -> list[Tensor]:
    """Of each stage to the next: squared distances [B] over the largest."""
    return [_move(a, b) for a, b in zip(stages[:-1], stages[1:], strict=True)]


def _move(before: Tensor, after: Tensor) -> Tensor:
    width, sides = min(before.shape[1], after.shape[1]), _smaller(before, after)
    before, after = (_narrowed(pool_maps(stage, sides), width) for stage in (before, after))
    apart = (before - after).flatten(1).square().sum(1).clamp(min=TINY)
    return apart / apart.max()


def _smaller(one: Tensor, other: Tensor) -> tuple[int, int]:
    return min(one.shape[2], other.shape[2]), min(one.shape[3], other.shape[3])


def _narrowed(stage: Tensor, width: int) -> Tensor:
    """[B, width, H, W]: means of neighbouring channels."""
    across = stage.transpose(1, 2)  # [B, H, C, W]: channels are the rows of a map
    return pool_maps(across, (width, stage.shape[3])).transpose(1, 2)


def _want_stages(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> None:
    if len(student) != len(teacher) or len(student) < 2:
        raise ValueError(f"want two stages or more of each, got {len(student)} and {len(teacher)}")
    for one, other in zip(student, teacher, strict=True):
        if one.ndim != 4 or other.ndim != 4 or len(one) != len(other):
            raise ValueError(
                f"want stages [B, *, H, W], got {tuple(one.shape)} and {tuple(other.shape)}"
            )

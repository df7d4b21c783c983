"""Pairs every layer of the student with every layer of the teacher, and learns how much each pair counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.mathematics.directions import unit
from edgekd.learn.mathematics.fitting import match_places
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgekd.learn.mathematics.shapes import Stages
    from edgekd.settings import Count
    from edgekd.settings import Positive

Maps = tuple[Tensor, ...]


def semantic(
    student_stages: Stages,
    teacher_stages: Stages,
    *,
    factor: Count = 4,
    softness: Positive = 1.0,
) -> nn.Module:
    """Of Chen et al. 2021 (arXiv:2012.03236, sec. 3): projections of all pairs, and attention between layers.

    A sample's query in a student layer is embedded from its inner products with all samples of the batch, and
    so is its key in a teacher layer; a smaller batch counts as one with samples at 0. Each pair meets on the
    smaller map; three convolutions make the student's as wide as the teacher's.

    Args:
        student_stages: S shapes [B, C, H, W].
        teacher_stages: T shapes [B, C, H, W].
        factor: the queries are B / factor wide.
        softness: divides the products of queries and keys.

    Returns:
        A module that gives ``student_stages`` and ``teacher_stages``, S * T maps each, pair (s, t) at
        s T + t, and ``attention`` [B, S, T], whose rows sum to 1.

    Raises:
        ValueError: if a stage is no map, or there is none.
    """
    for shape in (*student_stages, *teacher_stages):
        if len(shape) != 4:
            raise ValueError(f"want stages [B, C, H, W], got {shape}")
    if not student_stages or not teacher_stages:
        raise ValueError("got no stages, want one or more of each network")
    ours, theirs = ([shape[1] for shape in stages] for stages in (student_stages, teacher_stages))
    return _Semantic(student_stages[0][0], ours, theirs, factor, softness)


class _Semantic(nn.Module):
    def __init__(
        self, batch: int, ours: list[int], theirs: list[int], factor: int, softness: float
    ) -> None:
        super().__init__()
        self.batch, self.softness = batch, softness
        wide = max(1, batch // factor)
        self.queries = nn.ModuleList(_embedding(batch, wide) for _ in ours)
        self.keys = nn.ModuleList(_embedding(batch, wide) for _ in theirs)
        self.projections = nn.ModuleList(_projection(a, b) for a in ours for b in theirs)

    def forward(
        self, student_stages: Sequence[Tensor], teacher_stages: Sequence[Tensor]
    ) -> dict[str, Tensor | Maps]:
        teacher = [stage.detach() for stage in teacher_stages]
        pairs = [(one, other) for one in student_stages for other in teacher]
        ours = tuple(
            project(match_places(one, tuple(other.shape)))
            for project, (one, other) in zip(self.projections, pairs, strict=True)
        )
        theirs = tuple(match_places(other, tuple(one.shape)) for one, other in pairs)
        queries = self._embedded(self.queries, student_stages)
        keys = self._embedded(self.keys, teacher)
        attention = (queries @ keys.transpose(1, 2) / self.softness).softmax(2)
        return {"student_stages": ours, "teacher_stages": theirs, "attention": attention}

    def _embedded(self, embeddings: nn.ModuleList, stages: Sequence[Tensor]) -> Tensor:
        """[B, stages, wide], each of length 1."""
        made = [
            embed(self._products(stage)) for embed, stage in zip(embeddings, stages, strict=True)
        ]
        return unit(torch.stack(made, 1))

    def _products(self, stage: Tensor) -> Tensor:
        """[B, batch]: of each sample with all; absent ones are 0."""
        flat = widen(stage).flatten(1)
        if len(flat) > self.batch:
            raise ValueError(f"got a batch of {len(flat)}, want at most {self.batch}")
        return F.pad(flat @ flat.T, (0, self.batch - len(flat)))


def _embedding(batch: int, wide: int) -> nn.Module:
    return nn.Sequential(nn.Linear(batch, 2 * wide), nn.ReLU(), nn.Linear(2 * wide, wide))


def _projection(width: int, wanted: int) -> nn.Module:
    middle = 2 * wanted
    return nn.Sequential(
        nn.Conv2d(width, middle, 1, bias=False),
        nn.BatchNorm2d(middle),
        nn.ReLU(),
        nn.Conv2d(middle, middle, 3, padding=1, bias=False),
        nn.BatchNorm2d(middle),
        nn.ReLU(),
        nn.Conv2d(middle, wanted, 1, bias=False),
    )

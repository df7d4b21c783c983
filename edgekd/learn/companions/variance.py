"""How sure a student may be of the teacher's features: a learnt mean and a learnt variance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.mathematics.fitting import count_channels
from edgekd.learn.mathematics.fitting import match_places
from edgekd.learn.mathematics.fitting import shared_places
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from edgekd.learn.mathematics.shapes import Shape
    from edgekd.settings import Positive

LEAST = 1e-5
"""A variance is at least this."""


def variance(
    student_features: Shape, teacher_features: Shape, *, initial_variance: Positive = 5.0
) -> nn.Module:
    """Regresses the teacher's features from the student's, with one variance a channel.

    Three 1x1 convolutions (linear layers for tokens and vectors) with ReLU between them give the mean; the
    variance is softplus(a) + 1e-5 with a learnt beside them (Ahn et al. 2019, arXiv:1904.05835, sec. 2).

    Args:
        student_features: [B, C, H, W], [B, N, D] or [B, D].
        teacher_features: the same kinds.
        initial_variance: of every channel, above 1e-5.

    Returns:
        A module that gives ``student_features`` (the mean), ``teacher_features`` and ``variance``, which
        broadcasts over them.

    Raises:
        ValueError: if the two cannot be laid out alike, or the variance is too small.
    """
    if initial_variance <= LEAST:
        raise ValueError(f"got initial_variance {initial_variance}, want more than {LEAST}")
    of_maps = len(shared_places(student_features, teacher_features)) == 2
    width, wanted = count_channels(student_features), count_channels(teacher_features)
    return _Regressed(width, wanted, of_maps, initial_variance)


def embedding_variance(student_embedding: Shape, teacher_embedding: Shape) -> nn.Module:
    """Predicts, from the student's embedding, how far it will be from the teacher's.

    A linear layer with batch normalization gives the log variance of each number; a linear layer makes the
    student's embedding as wide as the teacher's, if it is not (Zhang et al. 2020, arXiv:2008.01458, sec. 3).

    Args:
        student_embedding: [B, D].
        teacher_embedding: [B, E].

    Returns:
        A module that gives ``student_embedding`` and ``log_variance``, both [B, E].

    Raises:
        ValueError: if they are not two embeddings.
    """
    if len(student_embedding) != 2 or len(teacher_embedding) != 2:
        raise ValueError(f"want two [B, D], got {student_embedding} and {teacher_embedding}")
    return _Predicted(student_embedding[1], teacher_embedding[1])


class _Regressed(nn.Module):
    def __init__(self, width: int, wanted: int, of_maps: bool, initial: float) -> None:
        super().__init__()
        widths = ((width, wanted), (wanted, wanted), (wanted, wanted))
        one, two, three = (nn.Conv2d(*w, 1) if of_maps else nn.Linear(*w) for w in widths)
        self.regressor = nn.Sequential(one, nn.ReLU(), two, nn.ReLU(), three)
        raw = math.log(math.expm1(initial - LEAST))
        self.raw_variance = nn.Parameter(torch.full((wanted, 1, 1) if of_maps else (wanted,), raw))

    def forward(self, student_features: Tensor, teacher_features: Tensor) -> dict[str, Tensor]:
        one, other = tuple(student_features.shape), tuple(teacher_features.shape)
        return {
            "student_features": self.regressor(match_places(student_features, other)),
            "teacher_features": match_places(teacher_features.detach(), one),
            "variance": F.softplus(self.raw_variance) + LEAST,
        }


class _Predicted(nn.Module):
    def __init__(self, width: int, wanted: int) -> None:
        super().__init__()
        self.regressor = nn.Identity() if width == wanted else nn.Linear(width, wanted)
        self.branch = nn.Sequential(nn.Linear(wanted, wanted), nn.BatchNorm1d(wanted))

    def forward(self, student_embedding: Tensor, teacher_embedding: Tensor) -> dict[str, Tensor]:
        regressed = self.regressor(widen(student_embedding))
        return {"student_embedding": regressed, "log_variance": self.branch(regressed)}

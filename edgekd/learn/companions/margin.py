"""How far below zero a teacher's channels go, beside a projector of the student's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.mathematics.fitting import count_channels
from edgekd.learn.mathematics.fitting import match_places
from edgekd.learn.mathematics.fitting import rows
from edgekd.learn.mathematics.fitting import shared_places

if TYPE_CHECKING:
    from edgekd.learn.mathematics.shapes import Shape


def margin(student_features: Shape, teacher_features: Shape) -> nn.Module:
    """A 1x1 convolution with batch normalization, and the mean of the teacher's negative responses.

    The margin of a channel is E[x | x < 0] (Heo et al. 2019, arXiv:1904.01866, sec. 3.1), over all that was
    seen in training so far, so that it needs no batch normalization in the teacher. A channel that was never
    negative has margin 0.

    Args:
        student_features: [B, C, H, W], [B, N, D] or [B, D].
        teacher_features: the same kinds.

    Returns:
        A module that gives ``student_features`` and ``teacher_features`` of one shape, and ``margin``,
        which broadcasts over them.

    Raises:
        ValueError: if the two cannot be laid out alike.
    """
    shared = shared_places(student_features, teacher_features)
    width, wanted = count_channels(student_features), count_channels(teacher_features)
    regressor: nn.Module = nn.Linear(width, wanted)
    if len(shared) == 2:
        regressor = nn.Sequential(nn.Conv2d(width, wanted, 1, bias=False), nn.BatchNorm2d(wanted))
    return _Margin(regressor, wanted, len(shared) == 2)


class _Margin(nn.Module):
    mean: Tensor
    count: Tensor

    def __init__(self, regressor: nn.Module, wanted: int, of_maps: bool) -> None:
        super().__init__()
        self.regressor, self.shape = regressor, (wanted, 1, 1) if of_maps else (wanted,)
        self.register_buffer("mean", torch.zeros(wanted))
        self.register_buffer("count", torch.zeros(wanted, dtype=torch.int64))

    def forward(self, student_features: Tensor, teacher_features: Tensor) -> dict[str, Tensor]:
        one, other = tuple(student_features.shape), tuple(teacher_features.shape)
        teacher = match_places(teacher_features.detach(), one)
        if self.training:
            self._learn(rows(teacher))
        return {
            "student_features": self.regressor(match_places(student_features, other)),
            "teacher_features": teacher,
            "margin": self.mean.clone().reshape(self.shape),
        }

    @torch.no_grad()
    def _learn(self, responses: Tensor) -> None:
        """Take in [B, C, P]; a mean that is moved, since a sum would outgrow float32."""
        negative = responses < 0
        found = negative.sum((0, 2))
        self.count += found
        excess = ((responses - self.mean[:, None]) * negative).sum((0, 2))
        self.mean += excess / self.count.clamp_min(1)

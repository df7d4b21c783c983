"""Refines maps by channel and place: with learnt attention the student's, as they are the teacher's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.mathematics.alignment import align_maps
from edgekd.learn.mathematics.alignment import require_common_map
from edgekd.learn.mathematics.fitting import count_channels

if TYPE_CHECKING:
    from edgekd.learn.mathematics.shapes import Shape
    from edgekd.settings import Count


def attention_guided(
    student_features: Shape, teacher_features: Shape, *, reduction: Count = 16
) -> nn.Module:
    """Of Mansourian et al. 2024 (arXiv:2403.05451, sec. 3): the attention of CBAM (arXiv:1807.06521) on both.

    A channel is scaled by the sigmoid of what a small network makes of its mean and its maximum; a place by
    the sigmoid of what a 7x7 convolution makes of mean and maximum over the channels there. The teacher,
    whose attention has nothing to learn from, has the plain sums instead, as in the authors' code. A 1x1
    convolution with batch normalization then makes the student's map as wide as the teacher's.

    Args:
        student_features: [B, C, H, W].
        teacher_features: [B, C', H', W'].
        reduction: by how much the small network narrows the channels.

    Returns:
        A module that gives ``student_features`` and ``teacher_features``, refined, of one shape.

    Raises:
        ValueError: if there is no map that both can be brought to.
    """
    require_common_map(student_features, teacher_features)
    return _Refined(count_channels(student_features), count_channels(teacher_features), reduction)


class _Refined(nn.Module):
    def __init__(self, width: int, wanted: int, reduction: int) -> None:
        super().__init__()
        narrow = max(1, width // reduction)
        self.channel = nn.Sequential(nn.Linear(width, narrow), nn.ReLU(), nn.Linear(narrow, width))
        self.place = nn.Sequential(
            nn.Conv2d(2, 1, 7, padding=3, bias=False), nn.BatchNorm2d(1, momentum=0.01)
        )
        self.connect = nn.Sequential(
            nn.Conv2d(width, wanted, 1, bias=False), nn.BatchNorm2d(wanted)
        )

    def forward(self, student_features: Tensor, teacher_features: Tensor) -> dict[str, Tensor]:
        student, teacher = align_maps(student_features, teacher_features)
        mean, most = student.mean((2, 3)), student.amax((2, 3))
        student = student * _wide(self.channel(mean) + self.channel(most)).sigmoid()
        student = student * self.place(_over_channels(student)).sigmoid()
        return {"student_features": self.connect(student), "teacher_features": refine(teacher)}


def refine(maps: Tensor) -> Tensor:
    """Refine maps [B, C, H, W] by CBAM's attention without anything learnt."""
    maps = maps * _wide(maps.mean((2, 3)) + maps.amax((2, 3))).sigmoid()
    return maps * _over_channels(maps).sum(1, keepdim=True).sigmoid()


def _wide(channel: Tensor) -> Tensor:
    return channel[:, :, None, None]


def _over_channels(maps: Tensor) -> Tensor:
    """[B, 2, H, W]: maximum and mean."""
    return torch.stack([maps.amax(1), maps.mean(1)], 1)

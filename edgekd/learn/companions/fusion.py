"""Fuses the student's stages from deep to shallow, by attention."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.mathematics.fitting import count_channels
from edgekd.learn.mathematics.fitting import match_places
from edgekd.learn.mathematics.fitting import shared_places

if TYPE_CHECKING:
    from edgekd.learn.mathematics.shapes import Stages
    from edgekd.settings import Count


def fusion(
    student_stages: Stages, teacher_stages: Stages, *, most_channels: Count = 512
) -> nn.Module:
    """Each of the teacher's stages is met by all of the student's from that depth on.

    Attention-based fusion (Chen et al. 2021, arXiv:2104.09044, sec. 3.2). A 1x1 convolution brings each stage
    to one width. From deep to shallow, the fused map of the deeper stage is enlarged to this one, two masks
    weigh the two by place, and their sum goes on to the next stage and, through a 3x3 convolution, to the
    teacher's. Where the sides of a pair differ, the larger map is pooled first.

    Args:
        student_stages: of each stage [B, C, H, W] or [B, N, D], shallow to deep.
        teacher_stages: the same kinds, as many.
        most_channels: of the fused maps; the deepest stage's where it has fewer.

    Returns:
        A module that gives ``student_stages`` and ``teacher_stages``, maps in pairs of one shape.

    Raises:
        ValueError: if the numbers of stages differ, there are none, or a pair is not two maps.
    """
    if len(student_stages) != len(teacher_stages) or not student_stages:
        raise ValueError(
            f"want as many stages of both, got {len(student_stages)} and {len(teacher_stages)}"
        )
    for one, other in zip(student_stages, teacher_stages, strict=True):
        shared_places(one, other, maps=True)
    middle = min(most_channels, count_channels(student_stages[-1]))
    widths = [count_channels(shape) for shape in student_stages]
    return _Fused(widths, middle, [count_channels(shape) for shape in teacher_stages])


class _Fused(nn.Module):
    def __init__(self, widths: list[int], middle: int, wanted: list[int]) -> None:
        super().__init__()
        self.inward = nn.ModuleList([_convolution(width, middle, 1) for width in widths])
        self.outward = nn.ModuleList([_convolution(middle, width, 3) for width in wanted])
        self.attention = nn.ModuleList([nn.Conv2d(2 * middle, 2, 1) for _ in widths[:-1]])

    def forward(
        self, student_stages: tuple[Tensor, ...], teacher_stages: tuple[Tensor, ...]
    ) -> dict[str, tuple[Tensor, ...]]:
        pairs = list(zip(student_stages, teacher_stages, strict=True))
        fused = self.inward[-1](_map(*pairs[-1]))
        met = [self.outward[-1](fused)]
        for stage in reversed(range(len(pairs) - 1)):
            here = self.inward[stage](_map(*pairs[stage]))
            deeper = F.interpolate(fused, here.shape[2:], mode="nearest")
            masks = self.attention[stage](torch.cat([here, deeper], 1)).sigmoid()
            fused = here * masks[:, :1] + deeper * masks[:, 1:]
            met.append(self.outward[stage](fused))
        taught = tuple(_map(other.detach(), one) for one, other in pairs)
        return {"student_stages": tuple(reversed(met)), "teacher_stages": taught}


def _map(features: Tensor, other: Tensor) -> Tensor:
    return match_places(features, tuple(other.shape), maps=True)


def _convolution(width: int, wanted: int, side: int) -> nn.Sequential:
    convolution = nn.Conv2d(width, wanted, side, padding=side // 2, bias=False)
    nn.init.kaiming_uniform_(convolution.weight, a=1)
    return nn.Sequential(convolution, nn.BatchNorm2d(wanted))

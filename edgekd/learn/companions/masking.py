"""Hides places of the student's map and generates the teacher's from what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.mathematics.alignment import align_maps
from edgekd.learn.mathematics.alignment import require_common_map
from edgekd.learn.mathematics.alignment import widener
from edgekd.learn.mathematics.fitting import count_channels

if TYPE_CHECKING:
    from edgekd.learn.mathematics.shapes import Shape
    from edgekd.settings import Fraction


def masked_generator(
    student_features: Shape,
    teacher_features: Shape,
    *,
    masked_share: Fraction = 0.65,
    by_channel: bool = False,
) -> nn.Module:
    """Of Yang et al. 2022 (arXiv:2205.01529, sec. 3.1): 1x1 convolution, random mask, two 3x3 convolutions.

    Nothing is masked in evaluation mode.

    Args:
        student_features: [B, C, H, W].
        teacher_features: [B, C', H', W'].
        masked_share: how likely a place is hidden.
        by_channel: whether whole channels are hidden, as for classification; else places.

    Returns:
        A module that gives ``student_features``, generated, and ``teacher_features``, of one shape. It takes
        a mask, too: 1 where to keep, [B, 1, H, W] or [B, C', 1, 1].

    Raises:
        ValueError: if there is no map that both can be brought to.
    """
    require_common_map(student_features, teacher_features)
    width = count_channels(teacher_features)
    return _Masked(
        widener(count_channels(student_features), width), width, masked_share, by_channel
    )


class _Masked(nn.Module):
    def __init__(self, align: nn.Module, width: int, share: float, by_channel: bool) -> None:
        super().__init__()
        self.align, self.share, self.by_channel = align, share, by_channel
        self.generate = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(
        self, student_features: Tensor, teacher_features: Tensor, mask: Tensor | None = None
    ) -> dict[str, Tensor]:
        student, teacher = align_maps(student_features, teacher_features)
        aligned = self.align(student)
        if mask is None and self.training:
            mask = self._drawn(aligned)
        kept = aligned if mask is None else aligned * mask
        return {"student_features": self.generate(kept), "teacher_features": teacher}

    def _drawn(self, maps: Tensor) -> Tensor:
        batch, width, *sides = maps.shape
        shape = (batch, width, 1, 1) if self.by_channel else (batch, 1, *sides)
        # Drawn on the CPU, whose generator is in the checkpoint, whatever device trains.
        return (torch.rand(shape, device="cpu") >= self.share).to(maps)

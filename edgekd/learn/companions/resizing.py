"""Features of both networks pooled to the places they share; nothing to learn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch import nn

from edgekd.learn.mathematics.fitting import match_places
from edgekd.learn.mathematics.fitting import shared_places

if TYPE_CHECKING:
    from edgekd.learn.mathematics.shapes import Shape


def resizer(student_features: Shape, teacher_features: Shape) -> nn.Module:
    """The larger map is average-pooled to the sides of the smaller; the channels stay as they are.

    Args:
        student_features: [B, C, H, W] or [B, N, D].
        teacher_features: the same kinds.

    Returns:
        A module without parameters that gives ``student_features`` and ``teacher_features``.

    Raises:
        ValueError: if the two cannot be laid out alike.
    """
    shared_places(student_features, teacher_features)
    return _Resized()


class _Resized(nn.Module):
    def forward(self, student_features: Tensor, teacher_features: Tensor) -> dict[str, Tensor]:
        one, other = tuple(student_features.shape), tuple(teacher_features.shape)
        return {
            "student_features": match_places(student_features, other),
            "teacher_features": match_places(teacher_features.detach(), one),
        }

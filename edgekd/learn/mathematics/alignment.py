"""What companions that work on maps share: both networks' maps in the same places, equally wide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch import nn

from edgekd.learn.mathematics.fitting import match_places
from edgekd.learn.mathematics.fitting import shared_places

if TYPE_CHECKING:
    from edgekd.learn.mathematics.shapes import Shape


def require_common_map(student: Shape, teacher: Shape) -> None:
    """Refuse features that do not meet as maps.

    Raises:
        ValueError: if no common map can be made of them: vectors, or tokens of both.
    """
    if len(shared_places(student, teacher)) != 2:
        raise ValueError(f"want [B, C, H, W] of one network or both, got {student} and {teacher}")


def widener(channels: int, wanted: int) -> nn.Module:
    """A 1x1 convolution from `channels` to `wanted`; nothing where they are the same."""
    return nn.Identity() if channels == wanted else nn.Conv2d(channels, wanted, 1)


def align_maps(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Return both as maps of the places they share, at least float32; the teacher's detached."""
    one, other = tuple(student.shape), tuple(teacher.shape)
    return match_places(student, other), match_places(teacher.detach(), one)

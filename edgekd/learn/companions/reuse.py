"""A projector onto what the teacher's classifier reads, which the student then answers through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch import nn

from edgekd.learn.mathematics.fitting import count_channels
from edgekd.learn.mathematics.fitting import match_places
from edgekd.learn.mathematics.fitting import shared_places

if TYPE_CHECKING:
    from edgekd.learn.mathematics.shapes import Shape
    from edgekd.settings import Count


def reuse(
    student_features: Shape,
    teacher_features: Shape,
    *,
    factor: Count = 2,
    rectified: bool = True,
) -> nn.Module:
    """A bottleneck of three convolutions, 1x1, 3x3 and 1x1, each with batch normalization and ReLU.

    (Chen et al. 2022, arXiv:2203.14001, sec. 3.) The module's ``projector`` alone, on the student's
    features, is what is shipped between the student and the teacher's classifier.

    Args:
        student_features: [B, C, H, W] or [B, N, D].
        teacher_features: the last before the teacher's classifier pools them; the same kinds.
        factor: how many times narrower the middle is than the teacher.
        rectified: whether a ReLU ends it, as it ends most convolutional teachers.

    Returns:
        A module that gives ``student_features`` and ``teacher_features``, maps of one shape.

    Raises:
        ValueError: if the two cannot be laid out as maps alike.
    """
    shared_places(student_features, teacher_features, maps=True)
    width, wanted = count_channels(student_features), count_channels(teacher_features)
    middle = max(1, wanted // factor)
    return _Reuse(_Projector((width, middle, wanted), teacher_features, rectified))


def shipped_projector(
    student_features: Shape,
    teacher_features: Shape,
    *,
    factor: Count = 2,
    rectified: bool = True,
) -> nn.Module:
    """Train nothing more: the student holds its projector (`edgekd.learn.assembly.reuse`) and ships it.

    Args:
        student_features: what the projector gives.
        teacher_features: of the same shape, or larger.
        factor: how many times narrower than the teacher's features the projector is within.
        rectified: whether the projector ends in a ReLU, as the teacher's stage does.

    Raises:
        ValueError: if the student's features do not fit the teacher's.
    """
    if count_channels(student_features) != count_channels(teacher_features):
        raise ValueError("the student's last layer is not as wide as the teacher's")
    return _Reuse(nn.Identity())


class _Projector(nn.Module):
    """The student's features [B, C, H, W] as the teacher's classifier reads them."""

    def __init__(self, widths: tuple[int, int, int], taught: Shape, rectified: bool) -> None:
        super().__init__()
        (width, middle, wanted), self.taught = widths, taught[1:]
        self.transfer = nn.Sequential(
            *_layer(width, middle, 1), *_layer(middle, middle, 3), *_layer(middle, wanted, 1)
        )
        if not rectified:
            del self.transfer[-1]

    def forward(self, student_features: Tensor) -> Tensor:
        taught = (student_features.shape[0], *self.taught)
        return self.transfer(match_places(student_features, taught, maps=True))


class _Reuse(nn.Module):
    def __init__(self, projector: nn.Module) -> None:
        super().__init__()
        self.projector = projector

    def forward(self, student_features: Tensor, teacher_features: Tensor) -> dict[str, Tensor]:
        return {
            "student_features": self.projector(student_features),
            "teacher_features": match_places(
                teacher_features.detach(), tuple(student_features.shape), maps=True
            ),
        }


def _layer(width: int, wanted: int, side: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(width, wanted, side, padding=side // 2, bias=False)
    return convolution, nn.BatchNorm2d(wanted), nn.ReLU()

"""What makes factors of features: a paraphraser for the teacher, a translator for the student."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.mathematics.fitting import count_channels
from edgekd.learn.mathematics.fitting import match_places
from edgekd.learn.mathematics.fitting import shared_places

if TYPE_CHECKING:
    from edgekd.learn.mathematics.shapes import Shape
    from edgekd.settings import Positive

SLOPE = 0.1
"""Of the leaky ReLUs, as the authors have it."""


def paraphraser(
    student_features: Shape, teacher_features: Shape, *, rate: Positive = 0.5
) -> nn.Module:
    """An autoencoder of the teacher's features, and a translator that meets its factors.

    Three 3x3 convolutions make the factors on either side, three transposed ones make the teacher's features
    again; each with batch normalization and leaky ReLU (Kim, Park and Kwak 2018, arXiv:1802.04977, sec. 3).

    Args:
        student_features: [B, C, H, W] or [B, N, D].
        teacher_features: the same kinds.
        rate: channels of the factors for each of the teacher's.

    Returns:
        A module that gives the factors as ``student_features`` and ``teacher_features`` [B, F, H, W], and
        ``reconstruction`` [], the mean squared error of the autoencoder.

    Raises:
        ValueError: if the two cannot be laid out as maps alike.
    """
    shared_places(student_features, teacher_features, maps=True)
    width, taught = count_channels(student_features), count_channels(teacher_features)
    return _Factors(width, taught, max(1, round(taught * rate)))


class _Factors(nn.Module):
    def __init__(self, width: int, taught: int, factors: int) -> None:
        super().__init__()
        self.encoder = _stack(nn.Conv2d, taught, taught, factors, factors)
        self.decoder = _stack(nn.ConvTranspose2d, factors, factors, taught, taught)
        self.translator = _stack(nn.Conv2d, width, width, factors, factors)

    def forward(self, student_features: Tensor, teacher_features: Tensor) -> dict[str, Tensor]:
        one, other = tuple(student_features.shape), tuple(teacher_features.shape)
        teacher = match_places(teacher_features.detach(), one, maps=True)
        factors = self.encoder(teacher)
        return {
            "student_features": self.translator(match_places(student_features, other, maps=True)),
            "teacher_features": factors,
            "reconstruction": F.mse_loss(self.decoder(factors), teacher),
        }


def _stack(layer: type[nn.Conv2d | nn.ConvTranspose2d], *widths: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for width, wanted in zip(widths[:-1], widths[1:], strict=True):
        convolution = layer(width, wanted, 3, padding=1, bias=False)
        parts += [convolution, nn.BatchNorm2d(wanted), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*parts)

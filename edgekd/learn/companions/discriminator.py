"""A discriminator that tells the student's outputs from the teacher's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from edgekd.learn.mathematics.fitting import count_channels
from edgekd.learn.mathematics.reversal import freeze_weights

if TYPE_CHECKING:
    from edgekd.learn.mathematics.shapes import Shape
    from edgekd.settings import Count


def of_logits(
    student_logits: Shape,
    teacher_logits: Shape,
    *,
    hidden: Count = 128,
) -> nn.Module:
    """Three layers that score logits (Xu et al. 2018, arXiv:1709.00513).

    Each is of spectral norm 1 (Miyato et al. 2018, arXiv:1802.05957): a discriminator without bounds wins
    within an epoch, and then says nothing to the student.

    Args:
        student_logits: [B, C].
        teacher_logits: [B, C].
        hidden: width of the two layers within.

    Returns:
        A module that gives ``student_score``, ``teacher_score`` and ``fooling_score`` [B], above 0 for the
        teacher's; see `edgekd.learn.losses.adversarial.discriminator`.

    Raises:
        ValueError: if they are not two [B, C].
    """
    if student_logits != teacher_logits or len(student_logits) != 2:
        raise ValueError(f"want two [B, C], got {student_logits} and {teacher_logits}")
    return _Discriminator(teacher_logits[1], nn.Identity(), hidden)


def of_features(
    student_features: Shape,
    teacher_features: Shape,
    *,
    hidden: Count = 128,
) -> nn.Module:
    """Three layers that score features, averaged over their places (Wang et al. 2018, AAAI, portable student networks).

    Where the channels differ, the student's pass a linear layer, which sides with the student.

    Args:
        student_features: [B, C, H, W], [B, N, D] or [B, D].
        teacher_features: any of these, of the same samples.
        hidden: width of the two layers within.

    Returns:
        A module that gives ``student_score``, ``teacher_score`` and ``fooling_score`` [B], above 0 for the
        teacher's; see `edgekd.learn.losses.adversarial.discriminator`.

    Raises:
        ValueError: if they are no features, or of other samples.
    """
    kinds = {len(student_features), len(teacher_features)}
    if student_features[:1] != teacher_features[:1] or not kinds <= {2, 3, 4}:
        raise ValueError(
            f"want features of the same samples, got {student_features} and {teacher_features}"
        )
    width, wanted = count_channels(student_features), count_channels(teacher_features)
    fitted = nn.Identity() if width == wanted else nn.Linear(width, wanted)
    return _Discriminator(wanted, fitted, hidden)


class _Discriminator(nn.Module):
    def __init__(self, width: int, fitted: nn.Module, hidden: int) -> None:
        super().__init__()
        self.fitted = fitted
        self.score = nn.Sequential(
            spectral_norm(nn.Linear(width, hidden)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Linear(hidden, hidden)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Linear(hidden, 1)),
        )

    def forward(self, student: Tensor, teacher: Tensor) -> dict[str, Tensor]:
        student = self.fitted(_averaged(student))
        given = torch.cat([student.detach(), _averaged(teacher.detach())])
        ours, theirs = self.score(given).squeeze(1).chunk(2)
        training = self.score.training
        with freeze_weights(self.score):
            fooling = self.score.eval()(student).squeeze(1)
        self.score.train(training)
        return {"student_score": ours, "teacher_score": theirs, "fooling_score": fooling}


def _averaged(features: Tensor) -> Tensor:
    """[B, D] float32: the mean over the places of a map or of tokens."""
    features = features.float()
    if features.ndim == 4:
        return features.mean((2, 3))
    return features.mean(1) if features.ndim == 3 else features

"""A discriminator that tells the student's outputs from the teacher's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch import nn

from edgekd.learn.fitting import channels
from edgekd.learn.reversal import reversed_gradient

if TYPE_CHECKING:
    from edgekd.learn.companion import Shape
    from edgekd.settings import Count
    from edgekd.settings import NonNegative


def of_logits(
    student_logits: Shape,
    teacher_logits: Shape,
    *,
    hidden: Count = 128,
    strength: NonNegative = 1.0,
) -> nn.Module:
    """Three layers that score logits; the student's gradient is reversed (Xu et al. 2018, arXiv:1709.00513).

    Args:
        student_logits: [B, C].
        teacher_logits: [B, C].
        hidden: width of the two layers within.
        strength: of the student's gradient beside the discriminator's.

    Returns:
        A module that gives ``student_score`` and ``teacher_score`` [B], above 0 for the teacher's.

    Raises:
        ValueError: if they are not two [B, C].
    """
    if student_logits != teacher_logits or len(student_logits) != 2:
        raise ValueError(f"want two [B, C], got {student_logits} and {teacher_logits}")
    return _Discriminator(teacher_logits[1], nn.Identity(), hidden, strength)


def of_features(
    student_features: Shape,
    teacher_features: Shape,
    *,
    hidden: Count = 128,
    strength: NonNegative = 1.0,
) -> nn.Module:
    """The same of features, averaged over their places (Wang et al. 2018, AAAI, portable student networks).

    Where the channels differ, the student's pass a linear layer, which sides with the student.

    Args:
        student_features: [B, C, H, W], [B, N, D] or [B, D].
        teacher_features: any of these, of the same samples.
        hidden: width of the two layers within.
        strength: of the student's gradient beside the discriminator's.

    Returns:
        A module that gives ``student_score`` and ``teacher_score`` [B], above 0 for the teacher's.

    Raises:
        ValueError: if they are no features, or of other samples.
    """
    kinds = {len(student_features), len(teacher_features)}
    if student_features[:1] != teacher_features[:1] or not kinds <= {2, 3, 4}:
        raise ValueError(
            f"want features of the same samples, got {student_features} and {teacher_features}"
        )
    width, wanted = channels(student_features), channels(teacher_features)
    fitted = nn.Identity() if width == wanted else nn.Linear(width, wanted)
    return _Discriminator(wanted, fitted, hidden, strength)


class _Discriminator(nn.Module):
    def __init__(self, width: int, fitted: nn.Module, hidden: int, strength: float) -> None:
        super().__init__()
        self.fitted, self.strength = fitted, strength
        self.score = nn.Sequential(
            nn.Linear(width, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, 1),
        )

    def forward(self, student: Tensor, teacher: Tensor) -> dict[str, Tensor]:
        student = reversed_gradient(self.fitted(_averaged(student)), self.strength)
        return {
            "student_score": self.score(student).squeeze(1),
            "teacher_score": self.score(_averaged(teacher.detach())).squeeze(1),
        }


def _averaged(features: Tensor) -> Tensor:
    """[B, D] float32: the mean over the places of a map or of tokens."""
    features = features.float()
    if features.ndim == 4:
        return features.mean((2, 3))
    return features.mean(1) if features.ndim == 3 else features

"""What a discriminator learns from: whose answer is whose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from edgekd.learn.shapes import widened

if TYPE_CHECKING:
    from torch import Tensor


def discriminated(student_score: Tensor, teacher_score: Tensor) -> Tensor:
    """(softplus(d_s) + softplus(-d_t)) / 2: the binary cross-entropy of student (0) and teacher (1).

    The discriminator descends; the student, behind a reversed gradient, climbs, and so its outputs come to
    be spread like the teacher's (Goodfellow et al. 2014, arXiv:1406.2661, eq. 1; for logits Xu, Hsu and
    Huang 2018, arXiv:1709.00513).

    Args:
        student_score: d_s [B], the discriminator's logits for the student's samples.
        teacher_score: d_t [B], for the teacher's.

    Returns:
        Scalar, nats; ln 2 for a discriminator that answers 0, and never below it where it is given
        the same twice.

    Raises:
        ValueError: if they are not two [B].
    """
    if student_score.shape != teacher_score.shape or student_score.ndim != 1:
        raise ValueError(
            f"want two [B], got {tuple(student_score.shape)} and {tuple(teacher_score.shape)}"
        )
    taken = F.softplus(widened(student_score)).mean()
    missed = F.softplus(-widened(teacher_score)).mean()
    return (taken + missed) / 2

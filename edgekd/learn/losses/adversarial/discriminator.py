"""What a discriminator learns from, whose answer is whose, and the student who is to be mistaken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import NonNegative


def discriminator_loss(
    student_score: Tensor,
    teacher_score: Tensor,
    fooling_score: Tensor,
    *,
    strength: NonNegative = 1.0,
) -> Tensor:
    """(softplus(d_s) + softplus(-d_t)) / 2 + strength softplus(-d_f).

    The first is the discriminator's: the binary cross-entropy of student (0) and teacher (1). The second is
    the student's: how unlikely it is to be taken for the teacher. It does not saturate where the
    discriminator wins (Goodfellow et al. 2014, arXiv:1406.2661, eq. 1 and what follows it; for logits
    Xu, Hsu and Huang 2018, arXiv:1709.00513). At weight 1 the student's part drowns its labels: the
    default is a tenth.

    Args:
        student_score: d_s [B], the discriminator's logits for the student's samples, without gradient to
            the student.
        teacher_score: d_t [B], for the teacher's.
        fooling_score: d_f [B], for the student's, without gradient to the discriminator.
        strength: of the student's part.

    Returns:
        Scalar, nats; (1 + strength) ln 2 for a discriminator that answers 0.

    Raises:
        ValueError: if they are not three [B].
    """
    shapes = {tuple(s.shape) for s in (student_score, teacher_score, fooling_score)}
    if len(shapes) > 1 or student_score.ndim != 1:
        raise ValueError(f"want three [B], got {sorted(shapes)}")
    taken = F.softplus(widen(student_score)).mean()
    missed = F.softplus(-widen(teacher_score)).mean()
    seen_through = F.softplus(-widen(fooling_score)).mean()
    return (taken + missed) / 2 + strength * seen_through

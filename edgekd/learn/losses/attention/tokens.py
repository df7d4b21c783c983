"""Losses of transformers: what tokens attend to, and how they lie to one another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Count


def attention_scores(
    student_features: Tensor, teacher_features: Tensor, *, masked_below: float = -100.0
) -> Tensor:
    """Mean squared difference of attention scores, before their softmax.

    A score at or below `masked_below` is of a position that is masked, and counts as 0 (Jiao et al. 2020,
    arXiv:1909.10351, eq. 7; -1e2 is the authors'. TextBrewer has -1e-3, by which every negative score
    counts as 0).

    Args:
        student_features: [B, heads, N, N]; the gradient flows here.
        teacher_features: [B, heads, N, N]; detached.
        masked_below: a negative number.

    Returns:
        Scalar; 0 where both agree.

    Raises:
        ValueError: if the shapes differ or are not four-dimensional.
    """
    one, other = tuple(student_features.shape), tuple(teacher_features.shape)
    if one != other or len(one) != 4:
        raise ValueError(f"want two [B, heads, N, N], got {one} and {other}")
    student, teacher = widen(student_features), widen(teacher_features.detach())
    return F.mse_loss(
        student.masked_fill(student <= masked_below, 0),
        teacher.masked_fill(teacher <= masked_below, 0),
    )


def minilm(student_features: Tensor, teacher_features: Tensor, *, heads: Count = 12) -> Tensor:
    """KL(R_t || R_s), mean over samples, heads and tokens.

    R = softmax(A A^T / sqrt(d)): the relations of tokens in one head, d wide. A are queries, keys or values,
    cut anew into as many heads for both networks, so that their widths may differ (Wang et al. 2021,
    arXiv:2012.15828, eq. 3 to 6).

    Args:
        student_features: [B, N, D]; the gradient flows here.
        teacher_features: [B, N, E]; detached.
        heads: of the relations; divides D and E.

    Returns:
        Scalar, nats; 0 where the relations agree.

    Raises:
        ValueError: if the shapes do not fit.
    """
    one, other = tuple(student_features.shape), tuple(teacher_features.shape)
    if len(one) != 3 or len(other) != 3 or one[:2] != other[:2]:
        raise ValueError(f"want two [B, N, *], got {one} and {other}")
    if one[2] % heads or other[2] % heads:
        raise ValueError(f"got {one[2]} and {other[2]} wide, want multiples of {heads} heads")
    student = _relations(widen(student_features), heads)
    teacher = _relations(widen(teacher_features.detach()), heads)
    return F.kl_div(student, teacher, reduction="sum", log_target=True) / student[..., 0].numel()


def _relations(tokens: Tensor, heads: int) -> Tensor:
    """Log-probabilities [B, heads, N, N]."""
    parts = tokens.unflatten(2, (heads, -1)).transpose(1, 2)
    return F.log_softmax(parts @ parts.transpose(2, 3) / parts.shape[3] ** 0.5, -1)

"""Losses of transformers: what tokens attend to, and how they lie to one another. Padding counts for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from edgekd.learn.mathematics.padding import counting_keys
from edgekd.learn.mathematics.padding import mean_over_tokens
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Count


def attention_scores(
    student_features: Tensor,
    teacher_features: Tensor,
    token_mask: Tensor | None = None,
    *,
    masked_below: float = -100.0,
) -> Tensor:
    """Mean squared difference of attention scores, before their softmax.

    A score at or below `masked_below` is of a position that is masked, and counts as 0 (Jiao et al. 2020,
    arXiv:1909.10351, eq. 7; -1e2 is the authors'. TextBrewer has -1e-3, by which every negative score
    counts as 0). With a mask the mean is over pairs of tokens alone.

    Args:
        student_features: [B, heads, N, N]; the gradient flows here.
        teacher_features: [B, heads, N, N]; detached.
        token_mask: [B, N], 1 where there is a token; None if all count.
        masked_below: a negative number.

    Returns:
        Scalar; 0 where both agree.

    Raises:
        ValueError: if the shapes differ or are not four-dimensional.
    """
    _require_same_scores(student_features, teacher_features)
    student, teacher = widen(student_features), widen(teacher_features.detach())
    apart = (
        student.masked_fill(student <= masked_below, 0)
        - teacher.masked_fill(teacher <= masked_below, 0)
    ).square()
    if token_mask is None:
        return apart.mean()
    keys = counting_keys(token_mask, apart)
    pairs = keys & keys.transpose(2, 3)
    heads = apart.shape[1]
    return apart.masked_fill(~pairs, 0).sum() / (pairs.sum() * heads).clamp(min=1)


def attention_kl(
    student_features: Tensor, teacher_features: Tensor, token_mask: Tensor | None = None
) -> Tensor:
    """KL(A_t || A_s) of attention A = softmax of the scores over the keys, mean over samples, heads and tokens.

    MiniLM's transfer of attention, of one layer (Wang et al. 2020, arXiv:2002.10957, eq. 5).

    Args:
        student_features: scores before their softmax, [B, heads, N, N]; the gradient flows here.
        teacher_features: [B, heads, N, N]; detached.
        token_mask: [B, N], 1 where there is a token; None if all count.

    Returns:
        Scalar, nats; 0 where the attention agrees.

    Raises:
        ValueError: if the shapes differ or are not four-dimensional.
    """
    _require_same_scores(student_features, teacher_features)
    return _compare_rows(widen(student_features), widen(teacher_features.detach()), token_mask)


def minilm(
    student_features: Tensor,
    teacher_features: Tensor,
    token_mask: Tensor | None = None,
    *,
    heads: Count = 12,
) -> Tensor:
    """KL(R_t || R_s), mean over samples, heads and tokens.

    R = softmax(A A^T / sqrt(d)): the relations of tokens in one head, d wide. A are queries, keys or values,
    cut anew into as many heads for both networks, so that their widths may differ (Wang et al. 2021,
    arXiv:2012.15828, eq. 3 to 6); of values alone it is the value relation of Wang et al. 2020
    (arXiv:2002.10957, eq. 6).

    Args:
        student_features: [B, N, D]; the gradient flows here.
        teacher_features: [B, N, E]; detached.
        token_mask: [B, N], 1 where there is a token; None if all count.
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
    return _compare_rows(student, teacher, token_mask)


def _relations(tokens: Tensor, heads: int) -> Tensor:
    """Scores [B, heads, N, N]."""
    parts = tokens.unflatten(2, (heads, -1)).transpose(1, 2)
    return parts @ parts.transpose(2, 3) / parts.shape[3] ** 0.5


def _compare_rows(student: Tensor, teacher: Tensor, token_mask: Tensor | None) -> Tensor:
    """KL of softmax over the last axis of [B, heads, N, N], keys and rows of padding left out."""
    ours, theirs = student, teacher
    if token_mask is not None:
        masked = ~counting_keys(token_mask, student)
        lowest = -1e4  # as low as half precision holds: no share is left
        ours, theirs = student.masked_fill(masked, lowest), teacher.masked_fill(masked, lowest)
    log_p, log_q = F.log_softmax(theirs, -1), F.log_softmax(ours, -1)
    each = F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(3)
    return mean_over_tokens(each.transpose(1, 2), token_mask)


def _require_same_scores(student: Tensor, teacher: Tensor) -> None:
    one, other = tuple(student.shape), tuple(teacher.shape)
    if one != other or len(one) != 4:
        raise ValueError(f"want two [B, heads, N, N], got {one} and {other}")

"""Losses that regress the teacher's features, place by place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional as F

from edgekd.learn.mathematics.fitting import require_same_shape
from edgekd.learn.mathematics.padding import has_tokens
from edgekd.learn.mathematics.padding import mean_over_tokens
from edgekd.learn.mathematics.padding import pool_tokens
from edgekd.learn.mathematics.shapes import widen

if TYPE_CHECKING:
    from torch import Tensor


def fitnet(
    student_features: Tensor, teacher_features: Tensor, token_mask: Tensor | None = None
) -> Tensor:
    """Mean over all elements of (f_s - f_t)^2 (Romero et al. 2015, arXiv:1412.6550, eq. 3).

    Of a transformer's hidden states or embeddings it is TinyBERT's (Jiao et al. 2020, arXiv:1909.10351, eq. 8 and 9).

    Args:
        student_features: [B, C, H, W], [B, N, D] or [B, D]; the gradient flows here.
        teacher_features: of the same shape; detached.
        token_mask: [B, N], 1 where there is a token; None if all count. Padding is left out of the mean.

    Returns:
        Scalar; 0 where both agree.

    Raises:
        ValueError: if the shapes differ.
    """
    require_same_shape(student_features, teacher_features)
    student, teacher = widen(student_features), widen(teacher_features.detach())
    if has_tokens(student, token_mask):
        return mean_over_tokens((student - teacher).square(), token_mask)
    return F.mse_loss(student, teacher)


def simkd(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Mean over all elements of (P(f_s) - f_t)^2, where f_t is what the teacher's classifier reads.

    The student then answers through that classifier: P is shipped, not only trained (Chen et al. 2022,
    arXiv:2203.14001, sec. 3).

    Args:
        student_features: P(f_s), [B, C, H, W]; the gradient flows here.
        teacher_features: of the same shape; detached.

    Returns:
        Scalar; 0 where both agree.

    Raises:
        ValueError: if the shapes differ.
    """
    return fitnet(student_features, teacher_features)


def cosine(
    student_features: Tensor, teacher_features: Tensor, token_mask: Tensor | None = None
) -> Tensor:
    """1 - cos(f_s, f_t) over the channels, mean over samples and places.

    As DistilBERT compares hidden states (Sanh et al. 2019, arXiv:1910.01108, sec. 2).

    Args:
        student_features: [B, C, H, W], [B, N, D] or [B, D]; the gradient flows here.
        teacher_features: of the same shape; detached.
        token_mask: [B, N], 1 where there is a token; None if all count. Padding is left out of the mean.

    Returns:
        Scalar, 0 to 2; the lengths of the vectors do not matter.

    Raises:
        ValueError: if the shapes differ.
    """
    require_same_shape(student_features, teacher_features)
    channel = 1 if student_features.ndim == 4 else -1
    student, teacher = widen(student_features), widen(teacher_features.detach())
    alike = F.cosine_similarity(student, teacher, dim=channel)
    if has_tokens(student, token_mask):
        return mean_over_tokens(1 - alike, token_mask)
    return 1 - alike.mean()


def patient(
    student_features: Tensor,
    teacher_features: Tensor,
    token_mask: Tensor | None = None,
    *,
    class_token: bool = True,
) -> Tensor:
    """|h_s / |h_s| - h_t / |h_t||^2, mean over the batch; h is one vector of each sample.

    Of tokens it is the first, which stands for the class, or their mean; of a map the mean over its places
    (Sun et al. 2019, arXiv:1908.09355, eq. 7).

    Args:
        student_features: [B, C, H, W], [B, N, D] or [B, D]; the gradient flows here.
        teacher_features: of the same shape; detached.
        token_mask: [B, N], 1 where there is a token; None if all count. Padding is left out of a mean.
        class_token: False for networks without one: the mean of all tokens.

    Returns:
        Scalar, 0 to 4; the lengths of the vectors do not matter.

    Raises:
        ValueError: if the shapes differ.
    """
    require_same_shape(student_features, teacher_features)
    student = _summary(student_features, token_mask, class_token)
    teacher = _summary(teacher_features.detach(), token_mask, class_token)
    return (F.normalize(student, dim=1) - F.normalize(teacher, dim=1)).square().sum(1).mean()


def _summary(features: Tensor, token_mask: Tensor | None, class_token: bool) -> Tensor:
    """[B, D]."""
    features = widen(features)
    if features.ndim == 4:
        return features.mean((2, 3))
    if features.ndim == 3:
        return features[:, 0] if class_token else pool_tokens(features, token_mask)
    return features

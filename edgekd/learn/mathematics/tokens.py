"""Losses of many tokens: of logits to one number a token, in chunks, and to their mean.

A loss of a language model is `mean_over(softened(divergence)(student, teacher), mask)`; with
`chunked(softened(divergence), 512)` in its middle it is the same number in less memory.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from edgekd.learn.mathematics.divergence import Divergence
from edgekd.learn.mathematics.shapes import widen

Tokenwise = Callable[..., Tensor]
"""Tensors whose first axes [...] are the same tokens, to one number a token [...]."""


def soften(divergence: Divergence, temperature: float = 1.0) -> Tokenwise:
    """Make of a divergence the same of logits at temperature T, times T^2.

    T^2 keeps the gradient's size when T changes (Hinton, Vinyals and Dean 2015, arXiv:1503.02531, sec. 2).

    Args:
        divergence: of log-probabilities.
        temperature: T, above 0.

    Returns:
        A function of the student's logits [..., V] (the gradient flows here) and the teacher's [..., V]
        (detached), to [...]; it raises ValueError if their shapes differ.
    """

    def of_logits(student_logits: Tensor, teacher_logits: Tensor) -> Tensor:
        require_same_tokens(student_logits, teacher_logits)
        student = F.log_softmax(widen(student_logits) / temperature, -1)
        teacher = F.log_softmax(widen(teacher_logits.detach()) / temperature, -1)
        return divergence(student, teacher) * temperature**2

    return of_logits


def compute_in_chunks(function: Tokenwise, tokens: int) -> Tokenwise:
    """Evaluate `function` on at most so many tokens at a time, and once more for its gradient.

    What a chunk computes on its way is not kept (Chen et al. 2016, arXiv:1604.06174), so that memory is
    needed for the intermediate values of one chunk, not of all tokens. Where `function` takes hidden
    states and applies the head itself, not even the logits exist as a whole.

    Args:
        function: per token; it must not depend on a token's neighbours.
        tokens: of one chunk, at least 1.

    Returns:
        A function of the same tensors, with the same values and gradients. The first tensor is
        [..., V]; all others begin with the same axes [...].

    Raises:
        ValueError: if `tokens` is less than 1.
    """
    if tokens < 1:
        raise ValueError(f"got chunks of {tokens} tokens, want at least 1")

    def in_chunks(*tensors: Tensor) -> Tensor:
        leading = tensors[0].shape[:-1]
        flat = [tensor.reshape(-1, *tensor.shape[len(leading) :]) for tensor in tensors]
        parts = [
            checkpoint(function, *chunk, use_reentrant=False)
            for chunk in zip(*(tensor.split(tokens) for tensor in flat), strict=True)
        ]
        return torch.cat(parts).reshape(leading)

    return in_chunks


def masked_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the mean of the values under `mask`; 0 where it selects none, as a batch of prompts alone may.

    The mean is over tokens, not over sequences: a long answer counts for more than a short one.

    Args:
        values: [...], one a token.
        mask: [...], bool, true where a token counts; None counts all.

    Returns:
        Scalar.

    Raises:
        ValueError: if the shapes differ.
    """
    if mask is None:
        return values.sum() / max(values.numel(), 1)
    if mask.shape != values.shape:
        raise ValueError(
            f"want a mask of {tuple(values.shape)} tokens, got one of {tuple(mask.shape)}"
        )
    kept = mask.bool()
    return torch.where(kept, values, 0.0).sum() / kept.sum().clamp(min=1)


def require_same_tokens(student: Tensor, teacher: Tensor, *, same_vocabulary: bool = True) -> None:
    """Refuse what is not two [..., V] of the same tokens.

    Args:
        student: of the student.
        teacher: of the teacher.
        same_vocabulary: whether V must agree, too.

    Raises:
        ValueError: if they do not fit.
    """
    one, other = tuple(student.shape), tuple(teacher.shape)
    fit = len(one) == len(other) >= 2 and one[:-1] == other[:-1]
    if not fit or (same_vocabulary and one != other):
        wanted = "two [..., V]" if same_vocabulary else "two [..., *]"
        raise ValueError(f"want {wanted} of the same tokens, got {one} and {other}")

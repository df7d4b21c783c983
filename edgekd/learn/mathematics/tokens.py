"""Losses of many tokens: of logits to one number a token, in chunks, and to their mean.

A loss of a language model is `masked_mean(compute_rows(soften(divergence))(student, teacher), mask)`: of a large
vocabulary it is computed some tokens at a time, so that beside the logits and their gradient little is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from edgekd.learn.mathematics.divergence import Divergence
from edgekd.learn.mathematics.shapes import widen

Tokenwise = Callable[..., Tensor]
"""Tensors whose first axes [...] are the same tokens, to one number a token [...]."""
CHUNK, MOST_AT_ONCE = 2**21, 2**22
"""Logits that are computed on at a time (8 MiB in float32); how many are not cut into chunks."""


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
    """Evaluate `function` on at most so many tokens at a time; its gradient is computed along, chunk by chunk.

    The number of a token depends on no other token, so that its gradient is known where its value is: of what a
    chunk computes on its way nothing is kept but the gradient, [..., V] in all, beside the student's logits.

    Args:
        function: per token; it must not depend on a token's neighbours.
        tokens: of one chunk, at least 1.

    Returns:
        A function of the same tensors, with the same values and the same gradient of the first, once. The first is
        [..., V]; all others begin with the same axes [...] and get no gradient.

    Raises:
        ValueError: if `tokens` is less than 1.
    """
    if tokens < 1:
        raise ValueError(f"got chunks of {tokens} tokens, want at least 1")

    def in_chunks(*tensors: Tensor) -> Tensor:
        leading = tensors[0].shape[:-1]
        shapes = [tuple(tensor.shape) for tensor in tensors]
        if any(shape[: len(leading)] != leading for shape in shapes):
            raise ValueError(f"want tensors of the same tokens {tuple(leading)}, got {shapes}")
        flat = [tensor.reshape(-1, *tensor.shape[len(leading) :]) for tensor in tensors]
        values: Tensor = _InChunks.apply(function, tokens, *flat)
        return values.reshape(leading)

    return in_chunks


class _InChunks(torch.autograd.Function):
    """Values [P] of logits [P, V] and what belongs to each token."""

    @staticmethod
    def forward(
        ctx: Any, function: Tokenwise, tokens: int, student: Tensor, *others: Tensor
    ) -> Tensor:
        learns = student.requires_grad
        gradient = torch.empty_like(student) if learns else None
        values = []
        for start in range(0, len(student), tokens):
            part = slice(start, start + tokens)
            with torch.set_grad_enabled(learns):
                chunk = student[part].detach().requires_grad_(learns)
                found = function(chunk, *(other[part] for other in others))
                if gradient is not None:
                    (gradient[part],) = torch.autograd.grad(found.sum(), chunk)
            values.append(found.detach())
        ctx.gradient, ctx.others = gradient, len(others)
        return torch.cat(values) if values else widen(student).sum(-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor | None, ...]:
        gradient, ctx.gradient = ctx.gradient, None
        if gradient is None:
            raise RuntimeError("want the gradient once, got it asked for again")
        gradient.mul_(above.unsqueeze(-1).to(gradient.dtype))
        return (None, None, gradient, *(None for _ in range(ctx.others)))


def compute_rows(function: Tokenwise) -> Tokenwise:
    """`function` itself where it is given few values; of many `compute_in_chunks`."""

    def of_rows(*tensors: Tensor) -> Tensor:
        if tensors[0].numel() <= MOST_AT_ONCE:
            return function(*tensors)
        return compute_in_chunks(function, max(1, CHUNK // tensors[0].shape[-1]))(*tensors)

    return of_rows


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

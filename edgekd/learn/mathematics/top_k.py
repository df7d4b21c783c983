"""Teachers of whom only the likeliest classes are kept, as stored answers are.

A teacher's answer to a token is k class indices and their log-probabilities. What it said of all other
classes is lost but for their sum.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.learn.mathematics.divergence import Divergence
from edgekd.learn.mathematics.shapes import widen
from edgekd.learn.mathematics.tokens import Tokenwise

MISSING = ("rest", "zero", "raw")
"""What may be made of the mass that was not kept; see `top_k_divergence`."""


class TopK(NamedTuple):
    """A teacher's likeliest classes, token by token."""

    indices: Tensor
    """[..., k], int64."""
    log_probabilities: Tensor
    """[..., k], of the softmax over all classes, at least float32."""


def top_k(teacher_logits: Tensor, top: int, *, temperature: float = 1.0) -> TopK:
    """Return the `top` likeliest classes, all where there are fewer.

    Args:
        teacher_logits: [..., V]; detached.
        top: k, at least 1.
        temperature: T of the softmax, above 0. It cannot be changed once the rest is lost.

    Returns:
        Indices and log-probabilities [..., min(k, V)], the likeliest first.
    """
    everything = F.log_softmax(widen(teacher_logits.detach()) / temperature, -1)
    log_probabilities, indices = everything.topk(min(top, everything.shape[-1]), dim=-1)
    return TopK(indices, log_probabilities)


def top_k_divergence(
    divergence: Divergence, missing: str = "rest", temperature: float = 1.0
) -> Tokenwise:
    """Make a divergence from a teacher's top-k classes, times T^2.

    `missing` says what is made of the probability of all other classes:

    - ``rest``: they are one class more, on both sides. A lower bound of the dense divergence, exact
      where teacher and student share out the rest alike.
    - ``zero``: the teacher is taken to exclude them, and renormalised over what it kept.
    - ``raw``: they are left out of the sum. No divergence: it may be negative, and a copy of the
      teacher need not be its minimum.

    Where all classes are kept, all three are the dense divergence.

    Args:
        divergence: of log-probabilities.
        missing: one of `MISSING`.
        temperature: T of the student, above 0; the log-probabilities were kept at the same.

    Returns:
        A function of the student's logits [..., V] (the gradient flows here), class indices [..., k], any
        integer type, no class twice, and log-probabilities [..., k], detached; to [...]. It raises
        ValueError if their shapes do not fit.

    Raises:
        ValueError: if `missing` is unknown.
    """
    if missing not in MISSING:
        raise ValueError(f"got missing {missing!r}, want one of {', '.join(MISSING)}")

    def of_pairs(student_logits: Tensor, indices: Tensor, log_probabilities: Tensor) -> Tensor:
        _want_pairs(student_logits, indices, log_probabilities)
        indices, teacher = indices.long(), widen(log_probabilities.detach())
        everything = F.log_softmax(widen(student_logits) / temperature, -1)
        student = everything.gather(-1, indices)
        if missing != "raw" and indices.shape[-1] < everything.shape[-1]:
            others = everything.scatter(-1, indices, -math.inf).logsumexp(-1, keepdim=True)
            student = torch.cat([student, others], -1)
            teacher = _with_rest(teacher) if missing == "rest" else _without_rest(teacher)
        return divergence(student, teacher) * temperature**2

    return of_pairs


def _with_rest(teacher: Tensor) -> Tensor:
    """[..., k + 1]: what k log-probabilities leave to 1, behind them; 0 where they exceed it."""
    rest = -torch.expm1(teacher.logsumexp(-1, keepdim=True))
    # The least number instead of none: its logarithm is finite, and it weighs nothing.
    return torch.cat([teacher, rest.clamp(min=torch.finfo(rest.dtype).tiny).log()], -1)


def _without_rest(teacher: Tensor) -> Tensor:
    """[..., k + 1]: k log-probabilities that add up to 1, and one of nothing."""
    nothing = math.log(torch.finfo(teacher.dtype).tiny)
    return F.pad(teacher.log_softmax(-1), (0, 1), value=nothing)


def _want_pairs(student: Tensor, indices: Tensor, log_probabilities: Tensor) -> None:
    shapes = [tuple(tensor.shape) for tensor in (student, indices, log_probabilities)]
    alike = shapes[0][:-1] == shapes[1][:-1] and shapes[1] == shapes[2]
    if not alike or not 1 <= shapes[1][-1] <= shapes[0][-1]:
        raise ValueError(f"want [..., V] and two [..., k], k <= V, got {shapes}")

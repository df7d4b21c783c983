"""What a loss is: a pure function of signals, bound to its knobs and weight.

The names of its positional parameters are the signals it compares (``student_logits``,
``teacher_logits``, ``labels``; ``label_indices``, which views that mix samples do not have); its
keyword-only parameters are its knobs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from edgekd.errors import InputError
from edgekd.learn.losses import LOSSES
from edgekd.learn.settings import Term
from edgekd.table import signature

Signals = Mapping[str, Tensor]


class BoundTerm(NamedTuple):
    """One summand of the training loss."""

    name: str
    weight: float
    needs: tuple[str, ...]
    function: Callable[..., Tensor]


class NotFinite(Exception):
    """A term's value is NaN or infinite."""

    def __init__(self, term: str, value: float) -> None:
        super().__init__(f"{term} is {value}")
        self.term = term


def bind_terms(terms: Iterable[Term]) -> tuple[BoundTerm, ...]:
    """The terms ready to be computed; a name used twice gets a number (``kd``, ``kd-2``)."""
    bound: list[BoundTerm] = []
    for term in terms:
        name = term.loss.name
        seen = sum(other.name.split("#")[0] == name for other in bound)
        member = LOSSES[name]
        function = functools.partial(member.load(), **term.loss.arguments)
        label = f"{name}#{seen + 1}" if seen else name
        bound.append(BoundTerm(label, term.weight, signature(member).positional, function))
    return tuple(bound)


def compute(terms: Iterable[BoundTerm], signals: Signals) -> tuple[Tensor, dict[str, float]]:
    """The weighted sum of all terms, and each term's own value.

    Raises:
        InputError: if a term's signal is not there: a configured loss is never left out.
        NotFinite: if a term is NaN or infinite.
    """
    total: Tensor | None = None
    parts: dict[str, float] = {}
    for term in terms:
        absent = [name for name in term.needs if name not in signals]
        if absent:
            raise InputError(
                f"loss {term.name}: got no {', '.join(absent)} from this scheme, "
                f"want {', '.join(term.needs)}"
            )
        value = term.function(*(signals[name] for name in term.needs))
        parts[term.name] = number = float(value.detach())
        if not -float("inf") < number < float("inf"):
            raise NotFinite(term.name, number)
        weighted = value * term.weight
        total = weighted if total is None else total + weighted
    if total is None:
        raise InputError("losses: got none, want at least one")
    return total, parts


def rehearse(terms: Iterable[BoundTerm], batch_size: int, classes: int) -> None:
    """Compute every term once on nothing, so that what cannot be computed ends before it begins.

    Raises:
        InputError: names the term and what it wants.
    """
    logits, labels = torch.zeros(batch_size, classes), torch.zeros(batch_size, dtype=torch.int64)
    known = {
        "student_logits": logits,
        "teacher_logits": logits,
        "labels": labels,
        "label_indices": labels,
    }
    for term in terms:
        try:
            term.function(*(known[name] for name in term.needs))
        except ValueError as error:
            raise InputError(f"loss {term.name}: {error}") from error


def widened(tensor: Tensor) -> Tensor:
    """At least float32: half-precision logits are not exponentiated as they are."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def want_same_logits(student: Tensor, teacher: Tensor) -> None:
    """Refuse what is not two [B, C] of one shape.

    Raises:
        ValueError: if they differ or are not two-dimensional.
    """
    if student.shape != teacher.shape or student.ndim != 2:
        raise ValueError(f"want two [B, C], got {tuple(student.shape)} and {tuple(teacher.shape)}")


def want_classes(logits: Tensor, label_indices: Tensor, *, least: int = 2) -> None:
    """Refuse labels that are not one class index a row, and too few classes.

    Raises:
        ValueError: if the shapes do not fit, or there are fewer than `least` classes.
    """
    if label_indices.shape != logits.shape[:1]:
        raise ValueError(
            f"want [B, C] and [B], got {tuple(logits.shape)} and {tuple(label_indices.shape)}"
        )
    if logits.shape[1] < least:
        raise ValueError(f"got {logits.shape[1]} classes, want at least {least}")

"""What the terms of a step came to: on the device until somebody wants numbers, for that waits for the device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class NotFiniteLoss(Exception):
    """A term's value is NaN or infinite."""

    def __init__(self, term: str, value: float, place: int = 0) -> None:
        super().__init__(f"{term} is {value}")
        self.term, self.place = term, place
        """`place` is that of its step among those that were read."""


class LossValues(NamedTuple):
    """Unweighted values of the terms of one step, each [], without gradient."""

    shown: dict[str, Tensor]
    """By name: the student's terms and the scheme's own."""
    others: tuple[tuple[str, Tensor], ...] = ()
    """Name and value of the terms of other learners."""


def read_values(steps: Sequence[LossValues]) -> list[dict[str, float]]:
    """The shown values of each step as numbers; all steps wait for the device once.

    Raises:
        NotFiniteLoss: for the first term that is NaN or infinite, of whichever learner.
    """
    named = [
        (place, name, value)
        for place, step in enumerate(steps)
        for name, value in (*step.shown.items(), *step.others)
    ]
    if not named:
        return [{} for _ in steps]
    numbers = torch.stack([value.double().reshape(()) for _, _, value in named]).tolist()
    for (place, name, _), number in zip(named, numbers, strict=True):
        if not math.isfinite(number):
            raise NotFiniteLoss(name, number, place)
    following, rows = iter(numbers), list[dict[str, float]]()
    for step in steps:
        rows.append({name: next(following) for name in step.shown})
        for _ in step.others:
            next(following)
    return rows

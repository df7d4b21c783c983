"""One option a layer, the least loss within a budget: the multiple-choice knapsack, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Option(NamedTuple):
    """One way to have a layer."""

    cost: float
    """In whatever the budget is in; not negative."""
    loss: float


GRAINS = 10_000
"""The budget is cut into this many; a cost is rounded up to them, so that the budget holds."""


def choose(layers: Sequence[Sequence[Option]], budget: float) -> list[int] | None:
    """The option of each layer, by number, that loses least in all while the costs fit the budget.

    Costs that are whole numbers within a budget of at most `GRAINS` are taken exactly; others may
    miss what a grain a layer would have allowed.

    Returns:
        None if even the cheapest do not fit.

    Raises:
        ValueError: if a layer has no option.
    """
    if not all(layers):
        raise ValueError("got a layer without options")
    if budget < 0:
        return None
    grain = 1.0 if budget <= GRAINS and _whole(layers) else max(budget / GRAINS, 1e-300)
    room = int(budget / grain + 1e-9)
    best = np.zeros(room + 1)
    picks: list[np.ndarray] = []
    for options in layers:
        lost = np.full((len(options), room + 1), np.inf)
        for number, option in enumerate(options):
            cost = int(np.ceil(option.cost / grain - 1e-9))
            if cost <= room:
                lost[number, cost:] = best[: room + 1 - cost] + option.loss
        picks.append(lost.argmin(0))
        best = lost.min(0)
    if not np.isfinite(best[room]):
        return None
    chosen = []
    for options, pick in zip(reversed(layers), reversed(picks), strict=True):
        number = int(pick[room])
        chosen.append(number)
        room -= int(np.ceil(options[number].cost / grain - 1e-9))
    return chosen[::-1]


def _whole(layers: Sequence[Sequence[Option]]) -> bool:
    return all(float(option.cost).is_integer() for options in layers for option in options)

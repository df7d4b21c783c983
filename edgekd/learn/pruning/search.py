"""From the order in which channels go to how many go: the least that meets the budget, if it pays."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from edgekd.learn.budget import GAIN
from edgekd.learn.budget import ModelTiming
from edgekd.learn.budget import StepBudget


class PruneTrials(NamedTuple):
    """The measurements that the search may ask for, of the network after the first N cuts."""

    time: Callable[[int], ModelTiming]
    """Seconds to minutes."""
    macs_left: Callable[[int], float]
    """The share of the multiply-accumulates."""
    parameters_left: Callable[[int], float]
    """The share of the parameters."""
    score_drop: Callable[[int], float]
    """By how much the validation score is worse, see `edgekd.task.score_drop`."""


class PruneOutcome(NamedTuple):
    """The result of the search."""

    cuts: int
    """How many are made; 0 where the network stays as it was."""
    timed: tuple[ModelTiming, ...]
    """What was measured, in order; the last is the network that was found."""
    met: bool
    """Whether the budget is met."""
    why: str


def search(count: int, budget: StepBudget, ask: PruneTrials) -> PruneOutcome:
    """Return how many of `count` cuts are made."""
    if not count:
        return PruneOutcome(0, (), False, "stays whole: no layer has channels to spare")
    timed: dict[int, ModelTiming] = {}

    def time(cuts: int) -> ModelTiming:
        timed[cuts] = timed.get(cuts) or ask.time(cuts)
        return timed[cuts]

    cuts, met, why = _wanted(count, budget, ask, lambda n: time(n).ratio)
    if not cuts:
        return PruneOutcome(0, tuple(timed.values()), met, f"stays whole: {why}")
    ratio = time(cuts).ratio
    told = (*(t for n, t in timed.items() if n != cuts), timed[cuts])
    is_sized = budget.macs is not None or budget.parameters is not None
    least = 1 - GAIN if is_sized else 1 + GAIN  # who asks for a size gets it, but nothing slower
    if ratio < least:
        why = f"stays whole: only {ratio:.3f} times as fast, want at least {least:.2f}"
        return PruneOutcome(0, told, False, why)
    return PruneOutcome(cuts, told, met, f"{why}: {ratio:.2f} times as fast as a whole")


def _wanted(
    count: int, budget: StepBudget, ask: PruneTrials, ratio: Callable[[int], float]
) -> tuple[int, bool, str]:
    """Return how many cuts the budget asks for, whether that meets it, and in words."""
    if budget.score_drop is not None:
        most = budget.score_drop
        over = find_least(count, lambda n: ask.score_drop(n) > most)
        cuts = count if over is None else over - 1
        if not cuts:
            return 0, False, f"any cut loses more than {most:g} of the score, before recovery"
        return cuts, True, f"the most that loses at most {most:g} of the validation score"
    if budget.speedup is not None:
        wish, short, so = budget.speedup, f"short of {budget.speedup:g} times", "as fast as asked"
        found = find_least(count, lambda n: ratio(n) >= wish)
    else:
        short, so = "not as small as asked", "as small as asked"
        found = find_least(count, lambda n: _small(n, budget, ask))
    return (count, False, f"all that can go, {short}") if found is None else (found, True, so)


def _small(cuts: int, budget: StepBudget, ask: PruneTrials) -> bool:
    if budget.macs is not None:
        return ask.macs_left(cuts) <= budget.macs
    assert budget.parameters is not None
    return ask.parameters_left(cuts) <= budget.parameters


def find_least(count: int, holds: Callable[[int], bool]) -> int | None:
    """Find the least number in 1 to `count` from which on `holds`, by halving; None if not even `count`."""
    if not holds(count):
        return None
    low, high = 0, count
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high

"""Compares settings by figures with intervals: which is surely better, which lie on the frontier, which wins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from edgekd.bench.statistics import Interval


class MeasuredFigure(NamedTuple):
    """A value and the interval that holds it with 95 %."""

    value: float
    interval: Interval | None
    """None where nothing is assured: it is surely better than nothing."""


class Contender(NamedTuple):
    """What a setting is compared by."""

    score: MeasuredFigure
    """More is better; of a metric of which less is, its negative."""
    latency_ms: MeasuredFigure
    is_inside: bool
    """Whether it keeps every limit of the budget."""


def is_surely_above(one: MeasuredFigure, other: MeasuredFigure) -> bool:
    """Return whether the 95 % interval of the difference of two figures lies above 0.

    Its lower end is d - sqrt((a - a_low)^2 + (b_high - b)^2), from the two single intervals (Newcombe 1998, Statistics
    in Medicine 17; Zou and Donner 2008, Statistics in Medicine 27).
    """
    if one.interval is None or other.interval is None:
        return False
    reach = math.hypot(one.value - one.interval.low, other.interval.high - other.value)
    return one.value - other.value > reach


def beats(one: Contender, other: Contender) -> bool:
    """Return whether `one` is surely better in score or in latency, and not surely worse in the other."""
    more = is_surely_above(one.score, other.score)
    less = is_surely_above(other.score, one.score)
    faster = is_surely_above(other.latency_ms, one.latency_ms)
    slower = is_surely_above(one.latency_ms, other.latency_ms)
    return (more and not slower) or (faster and not less)


def list_unbeaten(contenders: Sequence[Contender]) -> list[int]:
    """Indices of those that no other beats, the fastest first."""
    best = [
        number
        for number, one in enumerate(contenders)
        if not any(beats(other, one) for other in contenders if other is not one)
    ]
    return sorted(best, key=lambda number: contenders[number].latency_ms.value)


def find_winner(contenders: Sequence[Contender]) -> int | None:
    """Index of the winner: inside the budget, and of those whose score is not surely worse than the best there, the
    fastest; None if none is inside."""
    inside = [number for number, one in enumerate(contenders) if one.is_inside]
    if not inside:
        return None
    best = max(inside, key=lambda number: contenders[number].score.value)
    equal = [n for n in inside if not is_surely_above(contenders[best].score, contenders[n].score)]
    return min(equal, key=lambda n: (contenders[n].latency_ms.value, -contenders[n].score.value, n))

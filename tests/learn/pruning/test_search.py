"""How many cuts: the least that meets the budget, or none with the reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgekd.learn.budget import ModelTiming
from edgekd.learn.budget import StepBudget
from edgekd.learn.pruning.search import PruneTrials
from edgekd.learn.pruning.search import find_least
from edgekd.learn.pruning.search import search

COUNT = 20


def ask(ratio: Callable[[int], float] = lambda n: 1 + n / 10) -> tuple[PruneTrials, list[int]]:
    """After n of 20 cuts: n / 10 faster, 4 % of the size less, 0.3 points less; and what was timed."""
    timed: list[int] = []

    def time(cuts: int) -> ModelTiming:
        timed.append(cuts)
        return ModelTiming(1.0, 1 / ratio(cuts), ratio(cuts), None)

    def left(cuts: int) -> float:
        return 1 - 0.04 * cuts

    return PruneTrials(time, left, left, lambda cuts: 0.3 * cuts), timed


@pytest.mark.parametrize(
    ("budget", "want"),
    [
        (StepBudget(speedup=1.45), 5),
        (StepBudget(speedup=3.0), 20),
        (StepBudget(macs=0.7), 8),
        (StepBudget(parameters=0.5), 13),
        (StepBudget(score_drop=1.0), 3),
        (StepBudget(score_drop=50.0), 20),
    ],
)
def test_no_more_than_the_budget_asks(budget: StepBudget, want: int) -> None:
    asked, timed = ask()
    found = search(COUNT, budget, asked)
    assert (found.cuts, found.met) == (want, True)
    assert found.timed[-1].ratio == 1 + want / 10
    assert len(timed) == len(set(timed)) <= 6  # halving, and nothing twice


@pytest.mark.parametrize(
    "budget", [StepBudget(speedup=4.0), StepBudget(macs=0.1), StepBudget(parameters=0.1)]
)
def test_all_that_can_go_and_said_so(budget: StepBudget) -> None:
    found = search(COUNT, budget, ask()[0])
    assert found.cuts == COUNT and not found.met and "all that can go" in found.why


@pytest.mark.parametrize("budget", [StepBudget(macs=0.5), StepBudget(parameters=0.5)])
def test_who_asks_for_a_size_gets_it_unless_it_is_slower(budget: StepBudget) -> None:
    found = search(COUNT, budget, ask(lambda n: 1 - 0.002 * n)[0])
    assert (found.cuts, found.met) == (13, True) and "0.97 times as fast" in found.why
    found = search(COUNT, budget, ask(lambda n: 1 - 0.003 * n)[0])
    assert not found.cuts and not found.met and "want at least 0.97" in found.why


@pytest.mark.parametrize("budget", [StepBudget(speedup=1.5), StepBudget(score_drop=2.0)])
def test_what_does_not_pay_is_refused(budget: StepBudget) -> None:
    found = search(COUNT, budget, ask(lambda n: 1 + 0.001 * n)[0])
    assert not found.cuts and not found.met
    assert found.timed and found.why.startswith("stays whole") and "1.03" in found.why


def test_nothing_to_cut() -> None:
    found = search(0, StepBudget(macs=0.5), ask()[0])
    assert not found.cuts and not found.timed and "spare" in found.why
    found = search(COUNT, StepBudget(score_drop=0.1), ask()[0])
    assert not found.cuts and not found.timed and "any cut loses" in found.why


def test_least() -> None:
    for want in range(1, COUNT + 1):
        assert find_least(COUNT, lambda n, want=want: n >= want) == want
    assert find_least(COUNT, lambda n: False) is None

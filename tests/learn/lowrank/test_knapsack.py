"""The knapsack against every choice there is."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from edgekd.learn.lowrank.knapsack import Option
from edgekd.learn.lowrank.knapsack import choose

WHOLE = st.builds(Option, st.integers(0, 12).map(float), st.floats(0, 1))
REAL = st.builds(Option, st.floats(0, 12), st.floats(0, 1))


def brute(layers: list[list[Option]], budget: float) -> float | None:
    """The least loss of all choices within the budget."""
    losses = [
        sum(option.loss for option in picks)
        for picks in itertools.product(*layers)
        if sum(option.cost for option in picks) <= budget
    ]
    return min(losses, default=None)


def total(layers: list[list[Option]], picks: list[int]) -> Option:
    chosen = [options[number] for options, number in zip(layers, picks, strict=True)]
    return Option(sum(o.cost for o in chosen), sum(o.loss for o in chosen))


@settings(deadline=None)
@given(st.lists(st.lists(WHOLE, min_size=1, max_size=4), max_size=5), st.integers(0, 40))
def test_whole_costs_are_solved_exactly(layers: list[list[Option]], budget: int) -> None:
    picks, want = choose(layers, budget), brute(layers, budget)
    assert (picks is None) == (want is None)
    if picks is not None:
        got = total(layers, picks)
        assert got.cost <= budget and got.loss == pytest.approx(want)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(REAL, min_size=1, max_size=3), min_size=1, max_size=4), st.floats(0.1, 40))
def test_any_costs_hold_the_budget_and_are_nearly_best(
    layers: list[list[Option]], budget: float
) -> None:
    picks = choose(layers, budget)
    tighter = brute(layers, budget * (1 - 1e-3))  # a grain a layer is all that rounding takes
    if picks is None:
        assert tighter is None
        return
    got = total(layers, picks)
    assert got.cost <= budget * (1 + 1e-9)
    assert tighter is None or got.loss <= tighter + 1e-9


def test_nothing_fits_and_nothing_is_asked() -> None:
    assert choose([[Option(3, 0)]], 2) is None and choose([[Option(3, 0)]], -1) is None
    assert choose([], 5) == []
    with pytest.raises(ValueError, match="without options"):
        choose([[]], 5)


def test_a_cost_is_rounded_up_to_the_grain() -> None:
    """Three costs of 3333.5 grains fit 10,000 only if each is rounded down."""
    layer = [Option(0.33335, 0.0), Option(0.0, 1.0)]
    picks = choose([layer] * 3, 1.0)
    assert picks is not None and sorted(picks) == [0, 0, 1]
    assert total([layer] * 3, picks).cost <= 1

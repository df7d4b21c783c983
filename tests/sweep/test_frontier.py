from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from edgekd.bench.statistics import Interval
from edgekd.sweep.frontier import Contender
from edgekd.sweep.frontier import MeasuredFigure
from edgekd.sweep.frontier import beats
from edgekd.sweep.frontier import find_winner
from edgekd.sweep.frontier import is_surely_above
from edgekd.sweep.frontier import list_unbeaten


def figure(value: float, half: float) -> MeasuredFigure:
    return MeasuredFigure(value, Interval(value - half, value + half))


def contender(score: float, ms: float, *, half: float = 0.01, inside: bool = True) -> Contender:
    return Contender(figure(score, half), figure(ms, 0.01), inside)


def test_a_difference_within_the_interval_is_not_called_better() -> None:
    # half-widths of 3 and 4 make one of 5 for the difference
    assert is_surely_above(figure(15.1, 3), figure(10, 4))
    assert not is_surely_above(figure(14.9, 3), figure(10, 4))
    assert not is_surely_above(MeasuredFigure(99, None), figure(1, 0))


def test_the_end_that_speaks_against_it_counts() -> None:
    low, high = MeasuredFigure(0.5, Interval(0.4, 0.5)), MeasuredFigure(0.55, Interval(0.55, 0.9))
    assert is_surely_above(high, low)
    assert not is_surely_above(
        MeasuredFigure(0.55, Interval(0.2, 0.55)), MeasuredFigure(0.5, Interval(0.5, 0.9))
    )


def test_the_frontier_leaves_out_who_is_slower_for_a_gain_within_the_interval() -> None:
    fast, slow, best = contender(0.90, 1.0), contender(0.905, 2.0), contender(0.95, 3.0)
    assert list_unbeaten([best, slow, fast]) == [2, 0]


def test_the_winner_is_the_fastest_of_the_best_inside_the_budget() -> None:
    lucky = contender(0.99, 0.5, inside=False)
    best, equal, worse = contender(0.95, 3.0), contender(0.945, 2.0), contender(0.9, 1.0)
    assert find_winner([lucky, best, equal, worse]) == 2
    assert find_winner([lucky]) is None and find_winner([]) is None


FIGURES = st.builds(figure, st.floats(-9, 9), st.floats(0, 3)) | st.builds(
    MeasuredFigure, st.floats(-9, 9), st.none()
)
CONTENDERS = st.lists(st.builds(Contender, FIGURES, FIGURES, st.booleans()), max_size=6)


@settings(max_examples=100, deadline=None)
@given(CONTENDERS)
def test_somebody_is_always_unbeaten_and_two_never_beat_each_other(found: list[Contender]) -> None:
    assert bool(list_unbeaten(found)) == bool(found)
    for one, other in itertools.combinations(found, 2):
        assert not (beats(one, other) and beats(other, one))
    winner = find_winner(found)
    assert (winner is None) == (not any(one.is_inside for one in found))
    assert winner is None or found[winner].is_inside

from __future__ import annotations

from edgekd.bench import elimination
from edgekd.bench.elimination import CandidateFacts
from edgekd.bench.engine import Engine
from edgekd.bench.session import Measurement
from edgekd.bench.session import Subject


def result(name: str, *medians: int) -> Measurement:
    found = Measurement(Subject(name, Engine(name, "fp32", 1, {})))
    found.processes = [{"iters_ns": [ns]} for ns in medians]
    return found


FAST = (100, 101, 102, 100, 101, 102)
SLOW = tuple(2 * ns for ns in FAST)


def test_who_is_slower_and_no_more_accurate_is_out() -> None:
    results = [result("fast", *FAST), result("slow", *SLOW)]
    entrants = {"fast": CandidateFacts(0.9), "slow": CandidateFacts(0.9)}
    assert elimination.remaining_candidates(entrants, results) >= {"fast"}
    assert "slow" not in elimination.remaining_candidates(entrants, results)
    better = {
        **entrants,
        "slow": CandidateFacts(0.91),
    }  # the fast one may miss a limit that this one keeps
    assert elimination.remaining_candidates(better, results) >= {"fast", "slow"}


def test_intervals_that_touch_leave_both_in() -> None:
    near = tuple(ns + 1 for ns in FAST)
    results = [result("a", *FAST), result("b", *near)]
    assert elimination.remaining_candidates(
        {"a": CandidateFacts(0.9), "b": CandidateFacts(0.9)}, results
    ) >= {"a", "b"}
    few = [result("a", *FAST), result("b", *SLOW[:5])]
    assert elimination.remaining_candidates(
        {"a": CandidateFacts(0.9), "b": CandidateFacts(0.9)}, few
    ) >= {"a", "b"}
    none = [result("a"), result("b", *SLOW)]
    assert elimination.remaining_candidates(
        {"a": CandidateFacts(0.9), "b": CandidateFacts(0.9)}, none
    ) >= {"a", "b"}


def test_a_reference_stays_as_long_as_one_that_is_compared_with_it() -> None:
    results = [result("fast", *FAST), result("slow", *SLOW), result("t"), result("u")]
    entrants = {"fast": CandidateFacts(0.9, "t"), "slow": CandidateFacts(0.9, "u")}
    assert elimination.remaining_candidates(entrants, results) == {"fast", "t"}

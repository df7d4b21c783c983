from __future__ import annotations

from edgekd.bench import contest
from edgekd.bench.contest import Entrant
from edgekd.bench.engine import Engine
from edgekd.bench.session import Measured
from edgekd.bench.session import Subject


def result(name: str, *medians: int) -> Measured:
    found = Measured(Subject(name, Engine(name, "fp32", 1, {})))
    found.processes = [{"iters_ns": [ns]} for ns in medians]
    return found


FAST = (100, 101, 102, 100, 101, 102)
SLOW = tuple(2 * ns for ns in FAST)


def test_who_is_slower_and_no_more_accurate_is_out() -> None:
    results = [result("fast", *FAST), result("slow", *SLOW)]
    entrants = {"fast": Entrant(0.9), "slow": Entrant(0.9)}
    assert contest.contenders(entrants, results) >= {"fast"}
    assert "slow" not in contest.contenders(entrants, results)
    better = {
        **entrants,
        "slow": Entrant(0.91),
    }  # the fast one may miss a limit that this one keeps
    assert contest.contenders(better, results) >= {"fast", "slow"}


def test_intervals_that_touch_leave_both_in() -> None:
    near = tuple(ns + 1 for ns in FAST)
    results = [result("a", *FAST), result("b", *near)]
    assert contest.contenders({"a": Entrant(0.9), "b": Entrant(0.9)}, results) >= {"a", "b"}
    few = [result("a", *FAST), result("b", *SLOW[:5])]
    assert contest.contenders({"a": Entrant(0.9), "b": Entrant(0.9)}, few) >= {"a", "b"}
    none = [result("a"), result("b", *SLOW)]
    assert contest.contenders({"a": Entrant(0.9), "b": Entrant(0.9)}, none) >= {"a", "b"}


def test_a_reference_stays_as_long_as_one_that_is_compared_with_it() -> None:
    results = [result("fast", *FAST), result("slow", *SLOW), result("t"), result("u")]
    entrants = {"fast": Entrant(0.9, "t"), "slow": Entrant(0.9, "u")}
    assert contest.contenders(entrants, results) == {"fast", "t"}

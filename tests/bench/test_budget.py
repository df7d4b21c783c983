"""A limit against what was measured: by hand, at its edge, and as properties over many rows."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from edgekd.bench import budget
from edgekd.bench.budget import Budget
from edgekd.bench.budget import Reading
from edgekd.errors import InputError
from edgekd.task import Scale


def row(p50: float | None, interval: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "latency_p50_ms": p50,
        "latency_ci95_ms": interval,
        "validation_score": 0.9,
        "peak_rss_bytes": 50,
        "size_bytes": 100,
        "status": "ok",
        "reason": "",
        **more,
    }


def only(made: list[budget.Verdict]) -> budget.Verdict:
    (verdict,) = made
    return verdict


@pytest.mark.parametrize(
    ("limits", "verdict", "excess"),
    [
        ({"score_drop": 3.0}, "met", 0.0),  # 93 - 90
        ({"score_drop": 2.0}, "missed", 0.5),
        ({"score": 0.9}, "met", 0.0),
        ({"score": 0.95}, "missed", 0.05 / 0.95),
        ({"peak_rss_bytes": 50}, "met", 0.0),
        ({"peak_rss_bytes": 40}, "missed", 0.25),
        ({"size_bytes": 100}, "met", 0.0),
        ({"size_bytes": 80}, "missed", 0.25),
        ({"shrink": 4.0}, "met", 0.0),  # 400 / 100
        ({"shrink": 5.0}, "missed", 0.2),
        ({"latency_p50_ms": 1.1}, "met", 0.0),
        ({"latency_p50_ms": 1.0}, "open", 0.1),
        ({"latency_p50_ms": 0.5}, "missed", 1.0),
        ({"speedup": 9.5 / 1.1}, "met", 0.0),
        ({"speedup": 9.0}, "open", 1 - 9.5 / 1.1 / 9),
        ({"speedup": 20.0}, "missed", 0.5),
    ],
)
def test_each_limit_by_hand(limits: dict[str, float], verdict: str, excess: float) -> None:
    one = row(1.0, [0.9, 1.1])
    teacher = row(10.0, [9.5, 10.5], size_bytes=400)
    found = only(budget.judge(one, teacher, Budget(**limits), 0.93))
    assert (found.verdict, found.limit) == (verdict, next(iter(limits)))
    assert found.excess == pytest.approx(excess)
    # more measuring could turn what lies within the interval, on whichever side its middle is
    within = verdict == "open"
    assert found.turns == within


def test_whether_it_turns_hangs_on_the_other_end_too() -> None:
    found = budget.judge_limit("latency_p50_ms", 0.95, Reading(1.0, 1.1, 0.9), at_most=True)
    assert (found.verdict, found.turns) == ("missed", True)
    found = budget.judge_limit("latency_p50_ms", 0.89, Reading(1.0, 1.1, 0.9), at_most=True)
    assert (found.verdict, found.turns) == ("missed", False)
    found = budget.judge_limit("latency_p50_ms", 0.9, Reading(1.0, 1.1, 0.9), at_most=True)
    assert found.turns  # its best end keeps it exactly
    found = budget.judge_limit("latency_p50_ms", 0.5, Reading(1.0, None, None, "why"), at_most=True)
    assert (found.verdict, found.turns, found.excess) == ("missed", True, 1.0)
    found = budget.judge_limit("latency_p50_ms", 2.0, Reading(1.0, None, None, "why"), at_most=True)
    assert (found.verdict, found.excess) == ("open", 1.0) and found.message.endswith("but why")


def test_what_was_not_measured_is_not_met() -> None:
    nothing = row(None, peak_rss_bytes=None, size_bytes=None, validation_score=None)
    limits = {name: 1.0 for name in budget.LIMITS if "bytes" not in name}
    every = Budget(**limits, score_drop=1.0, score=0.5, peak_rss_bytes=10**9, size_bytes=10**9)
    for teacher in (None, row(10.0, [9, 11]), row(10.0, [9, 11], status="failed", reason="parity")):
        found = budget.judge(nothing, teacher, every, 0.93)
        assert {one.verdict for one in found} == {"not measured"} and len(found) == 7
        assert all(one.got is None and one.excess == 1.0 for one in found)
    failed = row(10.0, [9, 11], status="failed", reason="parity")
    assert only(budget.judge(row(1.0, [1, 1]), failed, Budget(speedup=1.0), 0.9)).verdict == (
        "not measured"
    )


def test_a_limit_is_met_exactly_where_every_value_of_the_interval_keeps_it() -> None:
    ends = [0.5, 0.9, 1.0, 1.1, 2.0]
    for (low, high), want in itertools.product(itertools.combinations(ends, 2), ends):
        found = only(
            budget.judge(row((low + high) / 2, [low, high]), None, Budget(latency_p50_ms=want), 0.9)
        )
        assert (found.verdict == "met") == (high <= want)
        assert (found.verdict == "met" or found.turns) == (low <= want)


SCALES = (
    Scale("RMSE", "number", "lower"),
    Scale("R2", "number", "higher"),
    Scale("share", "fraction", "lower"),
)


@pytest.mark.parametrize(
    ("limits", "verdict", "limit"),
    [
        ({"score": 2.0}, "met", "score"),
        ({"score": 1.9}, "missed", "score"),
        ({"score_drop": 0.5}, "met", "score_drop"),  # 2.0 - 1.5, in the metric's unit
        ({"score_drop": 0.4}, "missed", "score_drop"),
        ({"metrics": {"R2": 0.8}}, "met", "metrics.R2"),
        ({"metrics": {"R2": 0.81}}, "missed", "metrics.R2"),
        ({"metrics": {"share": 0.1}}, "met", "metrics.share"),
        ({"metrics": {"share": 0.09}}, "missed", "metrics.share"),
    ],
)
def test_a_metric_s_limit_lies_in_its_own_direction(
    limits: dict[str, object], verdict: str, limit: str
) -> None:
    one = row(1.0, [1, 1], validation_score=2.0, metrics={"RMSE": 2.0, "R2": 0.8, "share": 0.1})
    found = only(budget.judge(one, None, Budget.model_validate(limits), 1.5, SCALES))
    assert (found.verdict, found.limit) == (verdict, limit)


def test_a_metric_that_the_task_has_not_is_refused_and_one_that_is_missing_not_met() -> None:
    one = row(1.0, [1, 1], validation_score=2.0)
    with pytest.raises(InputError, match="metrics: got 'R3', want a metric of the task"):
        budget.judge(one, None, Budget(metrics={"R3": 0.5}), 1.5, SCALES)
    found = only(budget.judge(one, None, Budget(metrics={"R2": 0.5}), 1.5, SCALES))
    assert found.verdict == "not measured"


@pytest.mark.parametrize(
    ("name", "size", "want", "verdict"),
    [
        ("first_token_ms", "prompt_length", 5.0, "met"),
        ("first_token_ms", "prompt_length", 4.1, "open"),
        ("first_token_ms", "prompt_length", 3.0, "missed"),
        ("decode_tokens_per_s", "context_length", 200.0, "met"),
        ("decode_tokens_per_s", "context_length", 245.0, "open"),
        ("decode_tokens_per_s", "context_length", 300.0, "missed"),
    ],
)
def test_limits_of_a_decoders_tokens(name: str, size: str, want: float, verdict: str) -> None:
    row = {
        "name": "x",
        "status": "ok",
        "reason": "",
        "sizes": {size: 16},
        "latency_p50_ms": 4.0,
        "latency_ci95_ms": [3.5, 4.5],
        "peak_rss_bytes": 5,
    }
    limits = Budget(
        **{name: want}, latency_p50_ms=1.0
    )  # that is of a plain call, and judges none of these
    (found,) = budget.judge_sizes(row, None, limits)
    assert (found.verdict, found.limit) == (verdict, f"{name} at {size}=16")

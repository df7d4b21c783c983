from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgekd.bench import budget
from edgekd.bench.budget import Budget
from edgekd.progress import Silent
from edgekd.stage import Context
from edgekd.stages import choose


def row(name: str, p50: float | None, **more: Any) -> dict[str, Any]:
    """Its interval is all of its median, unless `more` says otherwise."""
    return {
        "name": name,
        "model": "student",
        "runtime": "onnxruntime",
        "precision": "fp32",
        "threads": 1,
        "validation_score": 0.95,
        "latency_p50_ms": p50,
        "latency_ci95_ms": None if p50 is None else [p50, p50],
        "settled": True,
        "peak_rss_bytes": 60_000_000,
        "size_bytes": 100_000,
        "status": "ok",
        "reason": "",
        **more,
    }


TEACHER = row("teacher", 1.0, model="teacher", size_bytes=800_000)


def test_the_fastest_inside_the_budget() -> None:
    rows = [row("a", 0.3), row("b", 0.1, validation_score=0.8), row("c", 0.2), TEACHER]
    found = choose.choose_row(rows, Budget(score_drop=1.0), 0.96)
    assert found["chosen"] == "c" and found["nearest"] is None
    assert found["budget"] == [
        {
            "limit": "score_drop",
            "want": 1.0,
            "got": 1.0,  # 96 - 95 points: exactly at the limit is inside
            "verdict": "met",
            "message": "score_drop: got 1, want at most 1",
        }
    ]
    assert "c is the fastest of 2 inside the budget (3 measured): 0.2 ms" in found["why"]


def test_a_teacher_is_never_chosen() -> None:
    fast = {**TEACHER, "latency_p50_ms": 0.01, "latency_ci95_ms": [0.01, 0.01]}
    assert choose.choose_row([row("a", 0.3), fast], Budget(), 0.96)["chosen"] == "a"


@pytest.mark.parametrize(
    "status", [("failed", "parity 3e-3 > 1e-4"), ("not measured", "no engine")]
)
def test_what_failed_or_was_not_measured_is_never_chosen(status: tuple[str, str]) -> None:
    rows = [row("a", 0.3), row("b", 0.1, status=status[0], reason=status[1])]
    assert choose.choose_row(rows, Budget(), 0.96)["chosen"] == "a"
    found = choose.choose_row(rows[1:], Budget(), 0.96)
    assert found["chosen"] is None and "b: {}: {}".format(*status) in found["why"]


def test_a_refused_int8_is_said_where_the_float_one_ships() -> None:
    reason = "agrees with the student in float32 on 36.50 %, want at least 90 %"
    refused = row("q", None, precision="int8", status="refused", reason=reason)
    found = choose.choose_row([row("a", 0.3), refused], Budget(), 0.96)
    assert found["chosen"] == "a"
    assert found["why"].endswith(f"; q was refused before it was timed: it {reason}")


@pytest.mark.parametrize(
    ("interval", "chosen"), [([0.05, 0.29], "b"), ([0.05, 0.31], "a"), (None, "a")]
)
@pytest.mark.parametrize("settled", [True, False])
def test_a_row_counts_with_the_slow_end_of_its_interval(
    interval: list[float] | None, chosen: str, settled: bool
) -> None:
    wide = row("b", 0.1, settled=settled, latency_ci95_ms=interval)
    found = choose.choose_row([row("a", 0.3), wide], Budget(), 0.96)
    assert found["chosen"] == chosen
    assert choose.choose_row([wide], Budget(), 0.96)["chosen"] == "b"


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ([0.2, 0.3], "met"),  # exactly at the limit is inside
        ([0.2, 0.3001], "open"),
        (None, "open"),
    ],
)
def test_a_limit_of_latency_is_met_by_the_slow_end_alone(
    interval: list[float] | None, verdict: str
) -> None:
    one = row("a", 0.25, latency_ci95_ms=interval)
    found = choose.choose_row([one], Budget(latency_p50_ms=0.3), 0.96)
    assert found["budget"][0]["verdict"] == verdict
    assert (found["chosen"] == "a") == (verdict == "met")
    if interval is None:
        assert "too few processes ran for an interval" in found["why"]
    elif verdict == "open":
        message = "latency_p50_ms: got 0.25, want at most 0.3, but its 95 % interval reaches 0.3001"
        assert message in found["why"]


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ([0.19, 0.22], [0.9, 1.1], "met"),  # 0.9 / 0.22 = 4.09
        ([0.19, 0.23], [0.9, 1.1], "open"),  # 0.9 / 0.23 = 3.91
        ([0.19, 0.22], [0.87, 1.1], "open"),  # 0.87 / 0.22 = 3.95
        ([0.19, 0.22], None, "open"),
        (None, [0.9, 1.1], "open"),
    ],
)
def test_a_speedup_is_met_by_our_slow_end_beside_the_teachers_fast_one(
    ours: list[float] | None, theirs: list[float] | None, verdict: str
) -> None:
    rows = [row("a", 0.2, latency_ci95_ms=ours), {**TEACHER, "latency_ci95_ms": theirs}]
    found = choose.choose_row(rows, Budget(speedup=4.0), 0.96)
    assert found["budget"][0]["verdict"] == verdict and found["budget"][0]["got"] == 5.0
    assert (found["chosen"] == "a") == (verdict == "met")


def test_a_row_of_an_unfit_machine_keeps_no_limit_of_time_and_is_chosen_last() -> None:
    bad = row("a", 0.1, status="invalid", reason="swapped: 3 pages came back from swap")
    found = choose.choose_row([bad, TEACHER], Budget(latency_p50_ms=0.3), 0.96)
    assert found["chosen"] is None and found["budget"][0]["verdict"] == "open"
    assert "the machine was not fit: swapped" in found["why"]
    assert choose.choose_row([bad, row("b", 0.3)], Budget(), 0.96)["chosen"] == "b"
    alone = choose.choose_row([bad], Budget(score=0.9), 0.96)
    assert alone["chosen"] == "a" and "not fit" in alone["why"]
    unfit = {**TEACHER, "status": bad["status"], "reason": bad["reason"]}
    found = choose.choose_row([row("b", 0.1), unfit], Budget(speedup=2.0), 0.96)
    assert found["budget"][0]["verdict"] == "open"


WIDE = {"settled": False}


def test_unstable_is_a_wide_row_on_which_the_choice_could_turn() -> None:
    one = row("a", 0.20, latency_ci95_ms=[0.19, 0.21], **WIDE)
    near = row("b", 0.21, latency_ci95_ms=[0.20, 0.22], **WIDE)
    far = row("c", 0.30, latency_ci95_ms=[0.22, 0.38], **WIDE)
    found = choose.choose_row([one, near, far, TEACHER], Budget(), 0.96)
    assert found["unstable"] == dict.fromkeys("ab", "whether it is the fastest is open")
    assert found["why"].endswith("whether it is the fastest is open")
    # nobody near it: its width is told, and nothing turns on it
    assert choose.choose_row([one, far, TEACHER], Budget(), 0.96)["unstable"] == {}
    # as narrow as was wanted: a tie, not unstable
    close = [{**row, "settled": True} for row in (one, near)]
    assert choose.choose_row([*close, TEACHER], Budget(), 0.96)["unstable"] == {}
    # a rival that is outside the budget anyway is none
    poor = {**near, "validation_score": 0.5}
    assert choose.choose_row([one, poor, TEACHER], Budget(score=0.9), 0.96)["unstable"] == {}


def test_unstable_is_a_wide_row_that_may_or_may_not_keep_a_limit() -> None:
    teacher = {**TEACHER, "latency_ci95_ms": [0.9, 1.1], **WIDE}
    fast = row("a", 0.2, latency_ci95_ms=[0.18, 0.24], **WIDE)
    slow = row("b", 0.25, latency_ci95_ms=[0.24, 0.26], **WIDE)
    found = choose.choose_row([fast, slow, teacher], Budget(speedup=4.0), 0.96)
    assert found["chosen"] is None  # 0.9 / 0.24 = 3.75, 0.9 / 0.26 = 3.46; 4.58 at best
    reason = "whether b keeps speedup is open"
    assert found["unstable"] == {
        "a": "whether a keeps speedup is open",
        "b": reason,
        "teacher": reason,
    }
    # of other limits one is missed for good: nothing turns on its width
    found = choose.choose_row(
        [{**fast, "size_bytes": 900}, slow, teacher], Budget(speedup=4.0, size_bytes=99), 0.96
    )
    assert found["unstable"] == {}
    # one that could be chosen only in place of a surely faster one turns nothing
    sure = row("c", 0.1)
    assert choose.choose_row([sure, slow, teacher], Budget(speedup=4.0), 0.96)["unstable"] == {}
    # whether it misses by luck is as open as whether it is met by luck
    found = choose.choose_row(
        [row("a", 0.26, latency_ci95_ms=[0.24, 0.3], **WIDE), TEACHER], Budget(speedup=4.0), 0.96
    )
    assert found["budget"][0]["verdict"] == "missed" and list(found["unstable"]) == ["a"]


def test_none_inside_says_which_limit_failed_by_how_much() -> None:
    rows = [row("a", 0.41), row("b", 0.9), TEACHER]
    found = choose.choose_row(rows, Budget(latency_p50_ms=0.30, score=0.9), 0.96)
    assert found["chosen"] is None and found["nearest"] == "a"
    verdicts = {v["limit"]: v for v in found["budget"]}
    assert verdicts["latency_p50_ms"]["verdict"] == "missed"
    message = "latency_p50_ms: got 0.41, want at most 0.3 (37 % over)"
    assert verdicts["latency_p50_ms"]["message"] == message and message in found["why"]
    assert verdicts["score"]["verdict"] == "met"


def test_nearest_is_what_may_keep_every_limit_before_what_misses_one() -> None:
    rows = [row("wide", 0.29, latency_ci95_ms=[0.2, 0.4]), row("slow", 0.301), TEACHER]
    found = choose.choose_row(rows, Budget(latency_p50_ms=0.3), 0.96)
    assert found["chosen"] is None and found["nearest"] == "wide"
    assert [line["verdict"] for line in found["budget"]] == ["open"]


def test_speedup_and_shrink_are_against_the_teacher_on_the_same_engine() -> None:
    slow = {"latency_p50_ms": 9.0, "latency_ci95_ms": [9.0, 9.0], "size_bytes": 9_000_000}
    other = {**TEACHER, **slow, "runtime": "openvino"}
    rows = [row("a", 0.25), other, TEACHER]
    found = choose.choose_row(rows, Budget(speedup=4.0, shrink=8.0), 0.96)
    assert [v["got"] for v in found["budget"]] == [4.0, 8.0] and found["chosen"] == "a"
    found = choose.choose_row(rows, Budget(speedup=5.0), 0.96)
    assert found["budget"][0]["message"] == "speedup: got 4, want at least 5 (20 % under)"


def test_the_reference_is_the_teachers_fp32_row_of_the_same_threads_alone() -> None:
    two = {**TEACHER, **slow_row(2.0), "threads": 2}
    bf16 = {**TEACHER, **slow_row(8.0), "precision": "bf16"}
    student = {**TEACHER, **slow_row(5.0), "model": "student", "name": "s"}
    rows = [row("a", 0.25), student, bf16, two, TEACHER]
    found = choose.choose_row(rows, Budget(speedup=4.0), 0.96)
    assert [v["got"] for v in found["budget"]] == [4.0]
    found = choose.choose_row([row("a", 0.25, threads=2), *rows[1:]], Budget(speedup=4.0), 0.96)
    assert [v["got"] for v in found["budget"]] == [8.0]
    found = choose.choose_row([row("a", 0.25, threads=4), two, TEACHER], Budget(speedup=4.0), 0.96)
    assert found["chosen"] is None and found["budget"][0]["verdict"] == "not measured"


def slow_row(ms: float) -> dict[str, Any]:
    return {"latency_p50_ms": ms, "latency_ci95_ms": [ms, ms]}


def test_a_limit_on_what_was_not_measured_is_not_met() -> None:
    rows = [row("a", 0.2, peak_rss_bytes=None), {**TEACHER, "status": "failed"}]
    found = choose.choose_row(rows, Budget(peak_rss_bytes=10**9, speedup=2.0), 0.96)
    assert found["chosen"] is None
    assert {v["verdict"] for v in found["budget"]} == {"not measured"}


def test_a_limit_of_zero() -> None:
    found = budget.judge_limit("score_drop", 0.0, budget.Reading(0.5, 0.5, 0.5), at_most=True)
    assert found.verdict == "missed" and found.message.endswith("want at most 0 (0.5 over)")


def test_run_writes_choice_json(tmp_path: Path) -> None:
    given = {name: tmp_path / name for name in ("rows", "reference_score")}
    given["rows"].write_text(json.dumps([row("a", 0.2), TEACHER]))
    score = {"score": 0.95, "scales": [{"name": "accuracy"}]}
    given["reference_score"].write_text(json.dumps(score))
    context = Context(folder=tmp_path, checkpoints=tmp_path, seed=0, progress=Silent())
    made = choose.run(Budget(score_drop=0.5), given, context)
    assert json.loads(made["choice.json"].read_bytes())["chosen"] == "a"


INT8 = {"precision": "int8", "profile": "x86"}
ISLANDS = [{"node": f"c{i}/Conv", "op": "Conv", "cause": "no Q behind it"} for i in range(11)]


def test_int8_that_is_slower_is_told_with_what_runs_in_float() -> None:
    slow = row("int8", 0.262, **INT8, islands=[*ISLANDS, {**ISLANDS[0], "op": "Relu"}])
    why = choose.choose_row([row("fp32", 0.2), slow, TEACHER], Budget(), 0.96)["why"]
    assert why.endswith(
        "; int8 is 1.31x slower: 11 float Conv (no Q behind it), 1 float Relu (no Q behind it)"
    )


def test_int8_without_islands_is_told_with_its_kernels() -> None:
    kernels = {"QLinearConv u8": 21, "QLinearAdd u8": 9, "Relu u8": 1, "Other u8": 1}
    rows = [row("fp32", 0.2), row("int8", 0.3, **INT8, kernels=kernels, islands=[]), TEACHER]
    why = choose.choose_row(rows, Budget(), 0.96)["why"]
    assert "1.50x slower: no float islands, 21 QLinearConv u8, 9 QLinearAdd u8, 1 Other u8" in why
    rows[1] |= slow_row(0.2005)
    assert "int8 is no faster" in choose.choose_row(rows, Budget(), 0.96)["why"]


def test_int8_outside_the_budget_is_told_with_the_limit() -> None:
    rows = [row("fp32", 0.2), row("int8", 0.1, **INT8, validation_score=0.9), TEACHER]
    why = choose.choose_row(rows, Budget(score_drop=1.0), 0.96)["why"]
    assert "; int8 misses score_drop: got 6, want at most 1" in why


def test_the_int8_beside_the_chosen_one_is_told_or_else_the_fastest() -> None:
    other = {**INT8, "runtime": "openvino"}
    rows = [row("fp32", 0.2), row("int8", 0.4, **INT8), row("ov", 0.3, **other), TEACHER]
    why = choose.choose_row(rows, Budget(), 0.96)["why"]
    assert "; int8 is 2.00x" in why and "; ov is" not in why
    rows[1] = row("int8", 0.4, **INT8, threads=2)
    why = choose.choose_row([*rows, row("ov2", 0.5, **other)], Budget(), 0.96)["why"]
    assert "; ov is 1.50x" in why and "; int8 is" not in why and "ov2" not in why


def test_a_chosen_int8_says_nothing_more_and_one_that_was_not_measured_is_no_candidate() -> None:
    rows = [row("fp32", 0.2), row("int8", 0.1, **INT8), TEACHER]
    idle = row(
        "trt", None, precision="int8", status="not measured", reason="no CUDA device", size_bytes=9
    )
    found = choose.choose_row([*rows, idle], Budget(), 0.96)
    assert found["chosen"] == "int8" and "lost" not in found["why"] and "trt" not in found["why"]


def test_a_row_that_says_nothing_of_its_interval_is_not_called_unstable() -> None:
    """Rows of a version that did not say it, and of an engine that was not timed twice."""
    rows = [row("a", 0.1, latency_ci95_ms=[0.09, 0.2]), row("b", 0.15, latency_ci95_ms=[0.1, 0.2])]
    for each in rows:
        del each["settled"]
    assert choose.choose_row(rows, Budget(latency_p50_ms=0.19), 0.96)["unstable"] == {}


def test_what_begins_where_the_chosen_ends_is_no_rival() -> None:
    rows = [
        row("a", 0.1, latency_ci95_ms=[0.05, 0.2], settled=False),
        row("b", 0.3, latency_ci95_ms=[0.2, 0.5], settled=False),
    ]
    assert choose.choose_row(rows, Budget(latency_p50_ms=0.3), 0.96)["unstable"] == {}


def test_a_row_without_an_interval_may_be_as_fast_as_nothing() -> None:
    assert choose.fast_end_ms(row("a", 0.1, latency_ci95_ms=None)) == 0
    assert choose.slow_end_ms(row("a", 0.1, latency_ci95_ms=None)) == float("inf")


def sized(name: str, p50: float | None, **more: Any) -> dict[str, Any]:
    """The row of an engine at 128 tokens; at its usual sizes it is called as the engine is."""
    sizes = {"text_length": 128}
    return row(f"{name} text_length=128", p50, usual_row=name, sizes=sizes, **more)


def test_of_several_sizes_the_usual_one_is_chosen_by_and_limits_of_time_hold_at_all() -> None:
    rows = [row("a", 0.3), sized("a", 1.0), row("b", 0.2), sized("b", 3.0)]
    assert choose.choose_row(rows, Budget(), 0.96)["chosen"] == "b"
    assert "(2 measured)" in choose.choose_row(rows, Budget(), 0.96)["why"]
    found = choose.choose_row(rows, Budget(latency_p50_ms=2.0), 0.96)
    assert found["chosen"] == "a"
    assert [line["limit"] for line in found["budget"]] == [
        "latency_p50_ms",
        "latency_p50_ms at text_length=128",
    ]
    found = choose.choose_row(rows, Budget(latency_p50_ms=0.9, size_bytes=10**6, score=0.5), 0.96)
    assert found["chosen"] is None and found["nearest"] == "a"
    assert "latency_p50_ms at text_length=128: got 1, want at most 0.9 (11 % over)" in found["why"]
    assert sum("at text_length" in line["limit"] for line in found["budget"]) == 1


def test_at_other_sizes_a_row_is_compared_with_the_teachers_at_those() -> None:
    teachers = [TEACHER, sized("teacher", 2.0, model="teacher")]
    rows = [row("a", 0.25), sized("a", 1.0), *teachers]
    assert choose.choose_row(rows, Budget(speedup=2.0), 0.96)["chosen"] == "a"
    found = choose.choose_row(rows, Budget(speedup=3.0), 0.96)
    assert [(line["limit"], line["got"]) for line in found["budget"]] == [
        ("speedup", 4.0),
        ("speedup at text_length=128", 2.0),
    ]


def test_an_engine_that_fails_at_a_size_that_is_asked_for_is_not_chosen() -> None:
    broken = sized("b", None, status="failed", reason="refused")
    rows = [row("a", 0.3), sized("a", 1.0), row("b", 0.2), broken]
    assert choose.choose_row(rows, Budget(), 0.96)["chosen"] == "a"
    found = choose.choose_row(rows[2:], Budget(), 0.96)
    assert found["chosen"] is None and "at text_length=128: failed: refused" in found["why"]
    late = {**broken, "status": "not measured", "reason": "the budget ended"}
    assert choose.choose_row([rows[2], late], Budget(), 0.96)["chosen"] == "b"
    found = choose.choose_row([rows[2], late], Budget(latency_p50_ms=1.0), 0.96)
    assert found["chosen"] is None and "at text_length=128: not measured, want" in found["why"]


def test_a_wide_interval_at_another_size_is_marked_there() -> None:
    wide = sized("a", 1.0, latency_ci95_ms=[0.5, 3.0], settled=False)
    found = choose.choose_row([row("a", 0.3), wide], Budget(latency_p50_ms=2.0), 0.96)
    assert found["chosen"] is None and found["unstable"] == {
        "a text_length=128": "whether a keeps latency_p50_ms at text_length=128 is open"
    }

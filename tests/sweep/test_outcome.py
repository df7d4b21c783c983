from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekd.bench.budget import Budget
from edgekd.errors import InputError
from edgekd.report.result import Result
from edgekd.sweep.outcome import average_rows
from edgekd.sweep.outcome import judge_setting
from edgekd.sweep.outcome import mean_interval
from tests import report_example

CHOSEN = "onnxruntime-fp32-2t"


def made(**other: Any) -> Result:
    rows = report_example.rows()
    for row in rows:
        if row["name"] == CHOSEN:
            row |= other
    return report_example.result(rows=rows)


def outcome(*results: Result, **budget: Any) -> Any:
    seeds = [{"student_seed": str(n)} for n in range(len(results))]
    runs = [f"runs/{n}" for n in range(len(results))]
    return judge_setting({"a": "1"}, seeds, runs, results, Budget(**budget))


def test_the_interval_of_the_mean_is_students() -> None:
    # of 1, 2, 3: mean 2, spread 1, error 1/sqrt(3), t(2) = 4.303
    assert mean_interval([1, 2, 3]) == pytest.approx((2 - 2.4843, 2 + 2.4843), abs=1e-3)
    assert mean_interval([1.0]) is None and mean_interval([2.0, 2.0]) is None


def test_the_interval_of_the_mean_holds_it_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(5, 2, (2000, 3))
    intervals = [mean_interval(list(row)) for row in draws]
    held = sum(each is not None and each.low <= 5 <= each.high for each in intervals)
    assert 0.935 < held / len(draws) < 0.965


def test_seeds_are_averaged_not_picked() -> None:
    found = outcome(*(made(validation_score=score) for score in (0.90, 0.92, 0.97)))
    assert found.row.validation_score == pytest.approx(0.93) and found.scores == (0.9, 0.92, 0.97)
    low, high = found.row.validation_ci95
    assert low < 0.9 and high == 1.0  # 0.93 and 4.303 times 0.0208
    assert found.row.name == CHOSEN and found.test_scores == (0.9266,) * 3


def test_one_seed_has_the_interval_of_its_samples() -> None:
    (single,) = (row for row in made(validation_score=0.9).candidates if row.name == CHOSEN)
    assert single.validation_ci95 is not None and single.validation_ci95[0] < 0.9
    one, same = (outcome(*(made(validation_score=0.9),) * count) for count in (1, 2))
    assert one.row.validation_ci95 == single.validation_ci95
    assert (
        same.row.validation_ci95 == single.validation_ci95
    )  # seeds that agree do not make it sure
    bare = single.model_copy(update={"validation_ci95": None})
    assert average_rows([bare, bare], is_fraction=True).validation_ci95 is None


def test_the_budget_judges_the_averages() -> None:
    fast, slow = (
        made(latency_p50_ms=ms, latency_ci95_ms=[ms * 0.9, ms * 1.1], peak_rss_bytes=memory)
        for ms, memory in ((1.0, 10), (3.0, 20))
    )
    found = outcome(fast, slow, latency_p50_ms=5)
    assert found.row.latency_p50_ms == 2 and found.row.peak_rss_bytes == 20
    assert found.row.latency_ci95_ms == pytest.approx((0.9, 3.3))
    assert found.is_inside and found.excess == (0.0,)
    open_ = outcome(fast, slow, latency_p50_ms=2.5)
    assert open_.is_open and not open_.is_inside and open_.excess[0] > 0
    missed = outcome(fast, slow, latency_p50_ms=1)
    assert not missed.is_open and missed.excess == (1.0,) and missed.budget[0].verdict == "missed"


def test_a_limit_of_the_score_is_kept_by_the_mean() -> None:
    # the teacher's validation score is 0.934
    found = outcome(*(made(validation_score=s) for s in (0.91, 0.95)), score_drop=1)
    assert found.is_inside  # 0.4 points below, though one seed is 2.4 below


def test_a_row_that_a_seed_could_not_measure_is_an_error_not_a_mean_of_others() -> None:
    with pytest.raises(InputError, match=rf"runs/1: {CHOSEN}: got no measurement"):
        outcome(made(), made(status="failed", reason="it died", latency_p50_ms=None))


def test_what_one_run_lacks_has_no_average() -> None:
    rows = [
        made(metrics={"a": 1.0}, latency_ci95_ms=None).candidates[1],
        made(metrics={"a": 3.0, "b": 1.0}, status="invalid", reason="noisy").candidates[1],
    ]
    found = average_rows(rows, is_fraction=True)
    assert found.metrics == {"a": 2.0} and found.latency_ci95_ms is None
    assert (found.status, found.reason) == ("invalid", "noisy")

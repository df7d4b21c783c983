from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekd import gate
from edgekd.bench.pair.significance import LEVEL
from edgekd.bench.statistics import Interval
from edgekd.gates import GATES
from edgekd.tasks import load_task
from tests import gate_example


def estimate(low: float, high: float) -> gate.Finding:
    return gate.judge_interval(
        "latency",
        "ratio",
        (low + high) / 2,
        1.05,
        "",
        interval=Interval(low, high),
        p_value=0.5,
        evidence={},
    )


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.9, 1.0, "pass"),
        (1.0, 1.05, "pass"),
        (1.0, 1.06, "inconclusive"),
        (1.1, 1.2, "inconclusive"),
    ],
)
def test_an_estimate_passes_only_if_the_whole_interval_is_allowed(
    low: float, high: float, verdict: str
) -> None:
    assert estimate(low, high).verdict == verdict


@pytest.mark.parametrize(
    ("low", "p_holm", "fails"),
    [(1.06, LEVEL, True), (1.06, LEVEL * 1.01, False), (1.05, 0.001, False), (1.0, 0.001, False)],
)
def test_it_fails_only_if_interval_and_corrected_p_agree(
    low: float, p_holm: float, fails: bool
) -> None:
    assert gate.is_failure(estimate(low, 1.2), p_holm) is fails


def test_exact_gates_fail_by_their_number() -> None:
    assert gate.judge_exact("size", "bytes", 5, 5, "").verdict == "pass"
    assert gate.is_failure(gate.judge_exact("size", "bytes", 6, 5, ""), None)
    assert not gate.is_failure(gate.not_measured_finding("size", "bytes", "it is gone"), None)


@pytest.mark.parametrize("name", GATES)
def test_each_member_is_what_the_table_says(name: str) -> None:
    entry = GATES[name]
    member = entry.load()
    assert (member.name, member.kind) == (name, entry.kind)
    member.config()  # all of it has defaults


def test_cheap_and_exact_gates_come_first() -> None:
    kinds = [entry.kind for entry in GATES.values()]
    assert kinds == sorted(kinds, key=["exact", "statistical", "limit"].index)


def test_rows_are_those_of_the_engine_s_own_answers(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path)
    assert isinstance(pair.samples, gate.EvaluationSamples)
    metric, rows = gate.compute_score_rows(pair, pair.run, pair.samples, 60.0)
    data, task = pair.run.bundle.dataset, load_task("classification")
    want = gate_example.score(pair.run.engine, pair.samples.split, data, task)
    assert metric.name == "accuracy"
    np.testing.assert_array_equal(rows, want["accuracy"])


def test_a_model_with_free_axes_is_timed_at_its_usual_size(tmp_path: Path) -> None:
    side = gate_example.side(tmp_path / "side")
    assert side.subject.call.inputs == {}
    group = side.bundle.golden["usual"]
    several = {"least": group, "usual": group, "longest": group}
    side = side._replace(bundle=side.bundle._replace(golden=several))
    ((name, plan),) = side.subject.call.inputs.items()
    assert (name, plan.shape) == ("images", (None, *group.inputs["images"].shape[1:]))
    assert side.subject.inputs == side.inputs

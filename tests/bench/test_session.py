from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from edgekd.bench import session
from edgekd.bench.engine import Engine
from edgekd.bench.process import WorkerFailed
from edgekd.errors import InputError


class Workers:
    """Stands in for processes; `medians` is asked for the median of a subject's n-th one."""

    def __init__(self, medians: Any = lambda name, n: 100) -> None:
        self.ran: list[tuple[str, str]] = []
        self._medians = medians

    def __call__(
        self, job: str, spec: dict[str, Any], *, timeout_s: float, reads: dict[str, Path]
    ) -> dict[str, Any]:
        name = spec["runtime"]
        self.ran.append((job, name))
        count = sum(one == ("latency", name) for one in self.ran)
        return {"iters_ns": [self._medians(name, count)], "steady": True, "cold_ms": {}}


def subjects(*names: str) -> list[session.Subject]:
    return [session.Subject(name, Engine(name, "fp32", 1, {})) for name in names]


def latency_order(workers: Workers) -> str:
    return "".join(name for job, name in workers.ran if job == "latency")


def test_processes_take_turns_and_every_other_round_runs_backwards() -> None:
    workers = Workers()
    session.measure_subjects(subjects("a", "b", "c"), session.Rules(), worker=workers)
    assert workers.ran[:3] == [("memory", "a"), ("memory", "b"), ("memory", "c")]
    assert latency_order(workers) == "abccba" * 3


def test_memory_of_two_is_measured_at_once_and_latency_never() -> None:
    both, at_once, most = threading.Barrier(2, timeout=30), [0], [0]

    def worker(job: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
        if job == "memory":
            both.wait()
            return {"peak_rss_bytes": int(spec["runtime"])}
        with more.get("turn", contextlib.nullcontext)():
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
            time.sleep(0.001)
            at_once[0] -= 1
        return {"iters_ns": [100], "steady": True, "cold_ms": {}}

    found = session.measure_subjects(
        subjects("1", "2", "3", "4"), session.Rules(), worker=worker, width=2
    )
    assert [each.memory for each in found] == [{"peak_rss_bytes": n} for n in (1, 2, 3, 4)]
    assert most == [1]


def test_who_is_settled_stops_and_the_others_go_on() -> None:
    workers = Workers(lambda name, n: 100 if name == "a" else 100 + 20 * (n % 2))
    rules = session.Rules(processes_max=9)
    quiet, noisy = session.measure_subjects(subjects("a", "b"), rules, worker=workers)
    assert quiet.reached and len(quiet.processes) == 6
    assert not noisy.reached and len(noisy.processes) == 9


def test_after_the_fewest_processes_only_contenders_go_on() -> None:
    asked: list[int] = []

    def contenders(results: Any) -> set[str]:
        asked.append(len(results[0].processes))
        return {"b"}

    workers = Workers(lambda name, n: 100 + 20 * (n % 2))
    rules = session.Rules(processes_max=9)
    one, other = session.measure_subjects(
        subjects("a", "b"), rules, worker=workers, contenders=contenders
    )
    assert (len(one.processes), len(other.processes)) == (6, 9) and asked == [6, 6, 6]


def test_the_wanted_width_counts() -> None:
    for width, reached in ((0.02, False), (0.1, True)):
        workers = Workers(lambda name, n: 100 + 3 * (n % 3))
        rules = session.Rules(processes_max=6, half_width=width)
        (found,) = session.measure_subjects(subjects("a"), rules, worker=workers)
        assert found.reached is reached


def test_a_failure_ends_one_subject_only() -> None:
    def medians(name: str, n: int) -> int:
        if name == "a" and n == 3:
            raise WorkerFailed("a: the worker was killed by SIGSEGV")
        return 100

    bad, good = session.measure_subjects(
        subjects("a", "b"), session.Rules(), worker=Workers(medians)
    )
    assert bad.failure == "a: the worker was killed by SIGSEGV" and not bad.refused
    assert len(bad.processes) == 2 and not bad.reached
    assert good.reached and not good.failure


def test_a_refused_input_is_told_apart() -> None:
    def refuse(job: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
        raise InputError("a: no")

    (found,) = session.measure_subjects(subjects("a"), session.Rules(), worker=refuse)
    assert found.refused and found.failure == "a: no" and found.memory is None


def test_the_budget_ends_the_sitting(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def medians(name: str, n: int) -> int:
        now[0] += 1.0
        return 100

    # each call moves the clock by one second, memory included: 1 + 4 fit before 5 s are over
    rules = session.Rules(budget_s=5)
    (found,) = session.measure_subjects(subjects("a"), rules, worker=Workers(medians))
    assert len(found.processes) == 4 and not found.reached


def test_a_worker_is_told_what_to_read(tmp_path: Path) -> None:
    told = []

    def worker(
        job: str, spec: dict[str, Any], *, timeout_s: float, reads: dict[str, Path]
    ) -> dict[str, Any]:
        told.append((spec["files"], spec["inputs"], reads))
        return {"iters_ns": [1], "steady": True, "cold_ms": {}}

    engine = Engine("a", "fp32", 1, {"model.onnx": tmp_path / "ab12"})
    one = session.Subject("a", engine, inputs=tmp_path / "rows.npy")
    session.measure_subjects([one], session.Rules(), worker=worker)
    reads = {"model.onnx": tmp_path / "ab12", "inputs": tmp_path / "rows.npy"}
    assert all(t == ({"model.onnx": "in/model.onnx"}, "in/inputs", reads) for t in told)

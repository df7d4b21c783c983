from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest

from edgekd.bench.engine import Engine
from edgekd.bench.pair import run
from edgekd.bench.pair.comparison import Verdict
from edgekd.bench.process import WorkerFailed
from edgekd.bench.session import Subject
from edgekd.errors import InputError

SNAPSHOT = {"throttles": {}, "temperatures_c": {}, "frequencies_khz": {}, "time_ns": 1}


class Machine:
    """Stands in for processes on a machine whose clock is ours: all numbers are known beforehand.

    A process of `name` has the median ``level(n) * ns[name]``, n counting all processes.
    """

    def __init__(
        self, ns: dict[str, float], level: Any = lambda n: 1.0, canary: Any = None
    ) -> None:
        self.ran: list[tuple[str, str]] = []
        self.specs: list[dict[str, Any]] = []
        self._ns, self._level = ns, level
        self._canary = canary or (lambda n: 50_000.0)

    def __call__(self, job: str, spec: dict[str, Any], **rest: Any) -> dict[str, Any]:
        name = spec.get("runtime", "")
        self.ran.append((job, name))
        self.specs.append(spec)
        count = sum(one == job for one, _ in self.ran) - 1
        if job == "canary":
            return {"canary_ns": self._canary(count), "snapshot": SNAPSHOT}
        if job == "memory":
            return {"peak_rss_bytes": 10**7}
        steady, warm = spec["steady"], spec["warm_up"]
        ns = self._ns[name] * self._level(count)
        iterations = max(steady["min_iterations"], math.ceil(steady["min_ns"] / ns))
        warmed = max(warm["window_iterations"], warm["window_ns"] / ns) * warm["windows"]
        return {
            "iters_ns": [int(ns)] * iterations,
            "warmup_iters": math.ceil(warmed),
            "steady": True,
            "cold_ms": {"load_ms": ns / 1e5},
        }

    def latencies(self) -> str:
        """The letters of the pairs' processes; the first two calibrate."""
        return "".join(name for job, name in self.ran if job == "latency")[2:]


def fought(machine: Any, **rules: Any) -> run.PairedRun:
    a, b = (Subject(name, Engine(name, "fp32", 1, {})) for name in "AB")
    return run.run_pairs(a, b, run.PairRules(**rules), worker=machine)


def test_blocks_are_abba_or_baab_as_the_seed_falls() -> None:
    machine = Machine({"A": 1e6, "B": 1e6})
    found = fought(machine, pairs=15, seed=3)
    assert machine.latencies() == found.order and len(found.pairs) == 15
    blocks = [found.order[i : i + 4] for i in range(0, 28, 4)]
    assert set(blocks) == {"ABBA", "BAAB"}
    assert fought(Machine({"A": 1e6, "B": 1e6}), pairs=15, seed=3).order == found.order
    assert all(spec["seed"] == 3 for spec in machine.specs if spec)
    orders = {run.order_of_pairs(15, seed) for seed in range(20)}
    assert len(orders) > 15
    assert all(order[0] != order[1] and order[2] != order[3] for order in orders)


@pytest.mark.parametrize(
    ("b_ns", "verdict"),
    [(1.05e6, "slower"), (0.9e6, "faster"), (1.004e6, "equivalent"), (1.0099e6, "equivalent")],
)
def test_verdicts(b_ns: float, verdict: Verdict) -> None:
    found = fought(Machine({"A": 1e6, "B": b_ns}), pairs=15)
    assert found.compared is not None and found.compared.verdict == verdict
    assert found.compared.ratio == pytest.approx(b_ns / 1e6, rel=1e-5)
    assert found.compared.pairs == 15 and not found.failure


def test_a_machine_that_slows_down_steadily_does_not_favour_one() -> None:
    # over the sitting it becomes half again as slow
    machine = Machine({"A": 1e6, "B": 1e6}, level=lambda n: 1 + 0.5 * n / 62)
    found = fought(machine, pairs=30)
    assert found.compared is not None and found.compared.verdict in ("equivalent", "unresolved")
    assert found.compared.ratio == pytest.approx(1, abs=0.003)


def test_noise_that_both_share_cancels() -> None:
    shared = np.random.default_rng(0).normal(1, 0.2, 100).clip(0.3)
    machine = Machine({"A": 1e6, "B": 1.05e6}, level=lambda n: float(shared[n // 2]))
    found = fought(machine, pairs=15)
    assert found.compared is not None and found.compared.verdict == "slower"
    assert found.compared.ratio == pytest.approx(1.05, rel=1e-4)


def test_a_clear_case_ends_at_the_first_look_and_a_close_one_does_not() -> None:
    assert len(fought(Machine({"A": 1e6, "B": 2e6}), pairs=30).pairs) == 10
    noise = np.random.default_rng(1).normal(1, 0.1, 100)
    machine = Machine({"A": 1e6, "B": 1e6}, level=lambda n: float(noise[n]))
    found = fought(machine, pairs=30)
    assert len(found.pairs) == 30
    assert found.compared is not None and found.compared.verdict == "unresolved"
    assert found.compared.alpha < 0.05


def test_both_models_get_the_same_counts() -> None:
    machine = Machine({"A": 1e6, "B": 2e6})
    found = fought(machine, pairs=6, steady_ns=200_000_000)
    # 200 runs of A take 0.2 s; 3 windows of 50 ms are 150 of its warm-up runs
    assert found.counts == (150, 200)
    for process in (process for pair in found.pairs for process in (pair.a, pair.b)):
        assert len(process["iters_ns"]) == 200 and process["warmup_iters"] == 150


def test_the_slower_of_two_unlike_models_is_not_run_for_minutes() -> None:
    counts = fought(Machine({"A": 1e5, "B": 1e8}), pairs=6).counts
    assert counts == (15, 30)  # the fewest: B takes 3 s for them


def test_a_drawn_out_warm_up_is_not_repeated_in_every_process() -> None:
    process = {"iters_ns": [1_000_000] * 250, "warmup_iters": 5000}
    assert run.choose_counts(process, process) == (1000, 250)


def test_the_canary_is_looked_at_on_the_way_and_memory_is_apart() -> None:
    machine = Machine({"A": 1e6, "B": 1e6})
    found = fought(machine, pairs=15, canary_every=5)
    jobs = [job for job, _ in machine.ran]
    assert jobs[0] == jobs[-1] == "canary" and jobs.count("canary") == 4
    assert (
        len(found.snapshot_log.canaries_ns) == len(found.snapshot_log.snapshots) == 4
        and not found.snapshot_log.drifts()
    )
    assert [name for job, name in machine.ran if job == "memory"] == ["A", "B"]
    assert set(found.memory) == {"a", "b"}


def test_a_canary_that_varies_marks_the_sitting() -> None:
    machine = Machine({"A": 1e6, "B": 1e6}, canary=lambda n: 50_000 * (1 + 0.2 * (n % 2)))
    assert fought(machine, pairs=15).snapshot_log.drifts()


def test_other_metrics_of_a_pair() -> None:
    found = fought(Machine({"A": 1e6, "B": 1.1e6}), pairs=6)
    for metric in run.METRICS:
        assert found.log_ratios(metric) == pytest.approx([math.log(1.1)] * 6, rel=1e-4)


@pytest.mark.parametrize("lacking", [{}, {"load_ms": 0.0}])
def test_a_pair_of_which_one_process_cannot_tell_has_no_ratio(lacking: dict[str, float]) -> None:
    found = fought(Machine({"A": 1e6, "B": 1.1e6}), pairs=6)
    first, second, *_ = found.pairs
    found.pairs[0] = first._replace(a={**first.a, "cold_ms": lacking})
    found.pairs[1] = second._replace(b={**second.b, "cold_ms": lacking})
    assert found.log_ratios("load") == pytest.approx([math.log(1.1)] * 4, rel=1e-4)
    assert len(found.log_ratios()) == 6


def test_a_failed_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for error, refused in ((WorkerFailed("B: it died"), False), (InputError("B: no"), True)):
        machine = Machine({"A": 1e6, "B": 1e6})

        def fail(n: int, error: Exception = error) -> float:
            if n == 7:
                raise error
            return 1.0

        machine._level = fail
        found = fought(machine, pairs=15)
        assert found.failure == str(error) and found.refused is refused
        assert found.compared is None and len(found.pairs) == 2


def test_the_budget_ends_it_and_the_pairs_so_far_are_judged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def level(n: int) -> float:
        now[0] += 1.0
        return 1.0

    found = fought(Machine({"A": 1e6, "B": 2e6}, level=level), pairs=30, budget_s=18)
    # two calibrations, then pairs until 18 s are over
    assert len(found.pairs) == 8
    assert found.compared is not None and found.compared.alpha == pytest.approx(0.05 / 3)
    assert found.compared.verdict == "slower"


def test_a_machine_without_an_account_of_itself() -> None:
    machine = Machine({"A": 1e6, "B": 1e6})

    def worker(job: str, spec: dict[str, Any], **rest: Any) -> dict[str, Any]:
        return {"canary_ns": 5.0, "snapshot": {}} if job == "canary" else machine(job, spec)

    assert fought(worker, pairs=6).validity() == (
        True,
        (),
        ("the machine gave no account of itself",),
    )

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekd.bench.engine import Engine
from edgekd.bench.process import WorkerFailed
from edgekd.bench.scenario import figures as scenario_figures
from edgekd.bench.scenario import run as scenarios
from edgekd.bench.session import Rules
from edgekd.bench.session import Subject
from edgekd.bench.timing import COLD
from edgekd.bench.timing import Steady
from edgekd.bench.timing import WarmUp
from edgekd.errors import InputError
from tests import bench_example

EVERY = scenarios.ScenarioSelection(True, None, True, 50.0, 3.0, True)
SHORT = Rules(
    processes_min=2,
    warm_up=WarmUp(window_ns=2_000_000, max_ns=50_000_000),
    steady=Steady(min_ns=10_000_000, max_ns=20_000_000),
    timeout_s=100,
)


class Workers:
    """Stands in for processes; remembers who was asked for what."""

    def __init__(self, **answers: Any) -> None:
        self.ran: list[tuple[str, str, int]] = []
        self._answers = answers

    def __call__(self, job: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
        self.ran.append((job, spec["runtime"], spec["batch"]))
        answer = self._answers[job]
        if isinstance(answer, Exception):
            raise answer
        found = answer(spec) if callable(answer) else answer
        assert isinstance(found, dict)
        return found


def points(spec: dict[str, Any]) -> dict[str, Any]:
    if spec["sweep"]:
        return {"points": [[1, 100.0, 10.0], [2, 190.0, 10.5], [4, 360.0, 11.0], [8, 361.0, 22.0]]}
    return {"points": [[spec["batch"], 350.0, 11.4]]}


def subjects(*names: str) -> list[Subject]:
    return [Subject(name, Engine(name, "fp32", 1, {})) for name in names]


def figures(
    ran: scenarios.ScenarioRun, wanted: scenarios.ScenarioSelection = EVERY
) -> dict[str, Any]:
    return {metric.name: metric for metric in scenario_figures.list_metrics(ran, wanted)}


def test_nothing_is_run_unless_it_is_wanted() -> None:
    workers = Workers()
    assert scenarios.run_scenarios(
        subjects("a"), scenarios.ScenarioSelection(), Rules(), worker=workers
    ) == [{}]
    assert workers.ran == []


def test_the_sweep_chooses_and_other_processes_measure() -> None:
    workers = Workers(throughput=points)
    wanted = scenarios.ScenarioSelection(throughput=True)
    ((ran,),) = (
        r.values() for r in scenarios.run_scenarios(subjects("a"), wanted, Rules(), worker=workers)
    )
    assert [batch for _, _, batch in workers.ran] == [1, 4, 4, 4, 4, 4, 4]
    found = figures(ran)
    assert found["throughput_batch"].value == 4 and found["throughput"].value == 350
    assert found["throughput"].n_proc == 6 and found["throughput"].ci95 == (350, 350)
    assert scenario_figures.make_curve(ran)[2] == (4.0, 360.0)


def test_a_bound_that_no_batch_keeps() -> None:
    wanted = scenarios.ScenarioSelection(throughput=True, bound_ms=5.0)
    (found,) = scenarios.run_scenarios(
        subjects("a"), wanted, Rules(), worker=Workers(throughput=points)
    )
    assert found["throughput"].failure == "no batch takes less than 5 ms"
    metric = figures(found["throughput"], wanted)["throughput"]
    assert metric.value is None and metric.reason == "no batch takes less than 5 ms"


def test_subjects_take_turns() -> None:
    cold = {"cold_ms": dict.fromkeys(COLD, 3.0), "warm": ""}
    workers = Workers(cold_start=cold)
    wanted = scenarios.ScenarioSelection(cold_start=True)
    results = scenarios.run_scenarios(subjects("a", "b"), wanted, Rules(), worker=workers)
    assert "".join(name for _, name, _ in workers.ran) == "abba" * 3
    assert figures(results[1]["cold_start"])["cold_tti_ms"].value == 3.0


def test_a_file_that_stays_in_memory_gives_no_cold_start() -> None:
    cold = {"cold_ms": dict.fromkeys(COLD, 3.0), "warm": "the file stays in the page cache"}
    ran = scenarios.ScenarioRun("cold_start", [cold] * 6)
    found = figures(ran)
    assert {metric.value for metric in found.values()} == {None}
    assert found["cold_tti_ms"].reason == "not cold: the file stays in the page cache"


@pytest.mark.parametrize(
    ("error", "refused"), [(WorkerFailed("x"), False), (InputError("x"), True)]
)
def test_a_failure_is_told_and_the_others_go_on(error: Exception, refused: bool) -> None:
    workers = Workers(paced=error, energy={"reason": "no readable counter"})
    wanted = scenarios.ScenarioSelection(rate_hz=10.0, energy=True)
    (found,) = scenarios.run_scenarios(subjects("a"), wanted, Rules(), worker=workers)
    assert (found["paced"].failure, found["paced"].refused) == ("x", refused)
    assert [job for job, _, _ in workers.ran] == ["paced", "energy"]
    energy = figures(found["energy"])["energy_per_inference"]
    assert (energy.value, energy.status, energy.reason) == (
        None,
        "unavailable",
        "no readable counter",
    )


def test_energy_of_windows() -> None:
    told = {
        "source": "powercap package-0",
        "busy": [[150.0, 10.0, 500, 400]] * 6,
        "idle": [[50.0, 10.0, 400, 400]] * 2,
    }
    found = figures(scenarios.ScenarioRun("energy", [told]))
    net, gross = found["energy_per_inference"], found["energy_per_inference_gross"]
    assert net.value == pytest.approx(0.2) and gross.value == pytest.approx(0.3)
    assert net.unit == "J" and net.n_proc == 1 and net.ci95 is not None
    assert found["idle_power"].value == pytest.approx(5.0)
    frozen = {**told, "busy": [[0.0, 10.0, 500, 0]] * 6}
    dead = figures(scenarios.ScenarioRun("energy", [frozen]))["energy_per_inference"]
    assert dead.value is None and "0 readings in a window < 200" in dead.reason


def test_percentiles_of_a_paced_run_need_their_samples() -> None:
    process = {"times_ns": [10**6] * 20, "response_ns": [2 * 10**6] * 20, "late": 5}
    found = figures(scenarios.ScenarioRun("paced", [process] * 6))
    assert found["paced_p50"].value == 1.0 and found["paced_response_p50"].value == 2.0
    assert found["paced_p90"].value == 1.0 and found["paced_p99"].value is None
    assert found["paced_p99"].reason == "n=120 < 662"
    assert found["paced_late"].value == 0.25


def test_workers_do_every_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenarios, "PACED_S", 0.8)
    monkeypatch.setattr(scenarios, "SPAN_NS", 100_000_000)
    engine = bench_example.null_engine(tmp_path, run_ms=2)
    (found,) = scenarios.run_scenarios([Subject("a", engine)], EVERY, SHORT)
    assert {name: ran.failure for name, ran in found.items()} == dict.fromkeys(found, "")
    assert list(found) == ["cold_start", "paced", "throughput", "sustained", "energy"]
    paced = figures(found["paced"])
    assert paced["paced_p50"].value >= 2 and paced["paced_p50"].n_iter == 2 * 40
    # a sleep takes as long for a thousand samples as for one
    assert figures(found["throughput"])["throughput_batch"].value >= 64
    sustained = figures(found["sustained"])
    assert sustained["sustained_first_p50"].value >= 2
    told = figures(found["energy"])["energy_per_inference"]
    assert told.value is None and told.reason or told.value > 0

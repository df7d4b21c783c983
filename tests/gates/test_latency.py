from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekd.bench.pair.significance import LEVEL
from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.devices import local
from edgekd.errors import InputError
from edgekd.gate import ComparedPair
from edgekd.gate import Finding
from edgekd.gates import latency
from edgekd.gating import sides
from tests import bench_example
from tests import gate_example
from tests.bundle import sized_example


def found_at(tmp_path: Path, ratio: float, noise: float = 0.005, **config: Any) -> Finding:
    worker = gate_example.worker(tmp_path, ratio=ratio, noise=noise)
    pair = gate_example.pair(tmp_path, worker=worker)
    return gate_example.only(latency.judge(pair, latency.LatencyConfig(**config), 0))


@pytest.mark.parametrize(
    ("ratio", "verdict", "fails"),
    [
        (1.0, "pass", False),
        (0.8, "pass", False),
        (1.03, "pass", False),
        (1.1, "inconclusive", True),
        (2.0, "inconclusive", True),
    ],
)
def test_only_what_is_surely_beyond_the_limit_has_a_small_p(
    tmp_path: Path, ratio: float, verdict: str, fails: bool
) -> None:
    found = found_at(tmp_path, ratio)
    assert (found.verdict, found.p_value <= LEVEL) == (verdict, fails)
    assert found.got == pytest.approx(ratio, rel=0.01) and found.allowed == pytest.approx(1.05)
    assert fails == (found.interval.low > found.allowed)


def test_an_interval_that_holds_the_limit_stays_open(tmp_path: Path) -> None:
    found = found_at(tmp_path, 1.05, noise=0.02)
    assert found.verdict == "inconclusive" and found.p_value > LEVEL
    assert found.interval.low < 1.05 < found.interval.high


def test_a_clear_case_ends_early_and_pays_for_the_look(tmp_path: Path) -> None:
    found = found_at(tmp_path, 1.5)
    assert len(found.evidence["log_ratios"]) == 10 and found.evidence["alpha"] < 0.05
    assert found.p_value == pytest.approx(2**-10 * 0.05 / found.evidence["alpha"])


def test_the_baseline_is_run_again_and_in_turns(tmp_path: Path) -> None:
    calls: list[str] = []
    pair = gate_example.pair(tmp_path, worker=gate_example.worker(tmp_path, calls=calls))
    latency.judge(pair, latency.LatencyConfig(pairs=6), 0)
    ran = [call for call in calls if call.startswith("latency")]
    assert ran.count("latency run") == ran.count("latency baseline") == 1 + 6  # and a calibration


def test_a_second_look_runs_its_pairs_in_another_order(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path, worker=gate_example.worker(tmp_path, ratio=1.05, noise=0.02))
    config = latency.LatencyConfig(pairs=18)
    orders = [
        gate_example.only(latency.judge(pair, config, look)).evidence["order"] for look in (0, 0, 1)
    ]
    assert orders[0] == orders[1] != orders[2]
    seeds: list[int] = []
    real = pair.worker

    def worker(job: str, spec: Any, **given: Any) -> Any:
        seeds.extend([spec["seed"]] if job == "latency" else [])
        return real(job, spec, **given)

    for look in (0, 1):  # the drawn inputs are others too
        latency.judge(pair._replace(worker=worker), latency.LatencyConfig(pairs=6, seed=5), look)
    assert set(seeds) == {5, 6}


def test_an_engine_for_other_sizes_is_timed_there_on_both_sides(tmp_path: Path) -> None:
    """The run has one for long texts, the baseline one for all."""
    found = {}
    for name, more in (("run", {}), ("baseline", {"by_size": None, "more": {}})):
        (tmp_path / name).mkdir()
        with sides.open_side(sized_example.make(tmp_path / name, **more)) as told:
            found[name] = sides.compile_side(told, local.DEVICE, tmp_path / f"engines-{name}")
    timed: list[tuple[str, list[int]]] = []
    plain = gate_example.worker(tmp_path, ratio=1.5)

    def worker(job: str, spec: Any, **given: Any) -> Any:
        if job == "latency":
            timed.append((spec["runtime"], spec["call"]["text"][0]))
        return plain(job, spec, **given)

    pair = ComparedPair(found["run"], found["baseline"], "none", "here", worker=worker)
    both = latency.judge(pair, latency.LatencyConfig(pairs=6), 0)
    assert [each.gate for each in both] == ["latency", "latency.longest"]
    runs = {("onnxruntime", 3), ("onnxruntime", 9), ("openvino", 9)}
    assert {(runtime, shape[1]) for runtime, shape in timed} == runs
    groups = {
        name: each for name, each in found["baseline"].parts[0].golden.items() if name == "usual"
    }
    less = found["baseline"].parts[0]._replace(golden=groups)
    pair = pair._replace(baseline=found["baseline"]._replace(parts=(less,)))
    usual, longest = latency.judge(pair, latency.LatencyConfig(pairs=6), 0)
    assert longest.verdict == "inconclusive" and "no golden samples 'longest'" in longest.text


def test_what_cannot_be_measured_says_why(tmp_path: Path) -> None:
    pair = gate_example.pair(tmp_path)

    def dead(job: str, *_: Any, **__: Any) -> dict[str, Any]:
        raise WorkerFailed("onnxruntime: the worker was killed by SIGSEGV")

    def refused(job: str, *_: Any, **__: Any) -> dict[str, Any]:
        raise InputError("onnxruntime: got float32 [1, 5]")

    for one, reason in (
        (pair._replace(worker=dead), "killed by SIGSEGV"),
        (pair._replace(emulated="qemu"), "emulated (qemu)"),
    ):
        found = gate_example.only(latency.judge(one, latency.LatencyConfig(pairs=6), 0))
        assert found.verdict == "inconclusive" and reason in found.text
    with pytest.raises(InputError, match=r"\[1, 5\]"):
        latency.judge(pair._replace(worker=refused), latency.LatencyConfig(pairs=6), 0)


def test_real_processes_of_known_speed(tmp_path: Path) -> None:
    """Engines that sleep 2 and 6 ms, in real workers: three times as slow, whatever the machine."""
    pair = gate_example.pair(tmp_path, worker=run_worker)
    rows = tmp_path / "rows.npy"
    np.save(rows, np.zeros((8, 4), np.float32))

    def sleeping(name: str, run_ms: float) -> Any:
        engine = bench_example.null_engine(tmp_path / f"null-{name}", run_ms=run_ms)
        return getattr(pair, name)._replace(engine=engine, inputs=rows)

    pair = pair._replace(run=sleeping("run", 6), baseline=sleeping("baseline", 2))
    found = gate_example.only(latency.judge(pair, latency.LatencyConfig(pairs=6, time_s=0.05), 0))
    assert found.got > 1.5 and found.interval.low > 1.05 and found.p_value <= LEVEL

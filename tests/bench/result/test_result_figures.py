from __future__ import annotations

import numpy as np
import pytest

from edgekd.bench import metric
from edgekd.bench.result import figures
from edgekd.bench.session import Measurement
from tests.measured_example import measured


def by_name(found: Measurement) -> dict[str, metric.MeasuredMetric]:
    return {one.name: one for one in figures.list_metrics(found)}


def test_p50_is_the_median_of_process_medians() -> None:
    p50 = by_name(measured(6))["latency_p50"]
    assert p50.value == pytest.approx(1.0025)
    # medians rise from one process to the next: drift, and the interval is wider than [x1, x6]
    assert p50.ci95 is not None and p50.ci95[0] < 1.0 and p50.ci95[1] > 1.005
    assert (p50.n_proc, p50.n_iter, p50.status) == (6, 180, "ok")
    assert "widened" in p50.method


def test_what_a_caller_waits_for_is_told_beside_the_engines_own_time() -> None:
    found = measured(6)
    assert by_name(found)["latency_caller_p50"].value is None
    for n, process in enumerate(found.processes):
        process["caller_ns"] = 1_200_000 + n
    caller = by_name(found)["latency_caller_p50"]
    assert caller.value == pytest.approx(1.2, rel=1e-4) and caller.ci95 is not None


def test_p99_of_too_few_is_null_with_the_reason() -> None:
    metrics = by_name(measured(6, 50))
    assert metrics["latency_p99"].value is None
    assert metrics["latency_p99"].status == "insufficient"
    assert metrics["latency_p99"].reason == "n=300 < 662"
    assert metrics["latency_p95"].value == pytest.approx(1.005)


def test_pooled_figures_are_numpys() -> None:
    times_ns = np.random.default_rng(0).lognormal(13, 0.3, (6, 200)).astype(int)
    found = measured(6)
    for process, times in zip(found.processes, times_ns, strict=True):
        process["iters_ns"] = times.tolist()
    metrics, pooled = by_name(found), times_ns.ravel() / 1e6
    assert metrics["latency_mean"].value == pytest.approx(pooled.mean())
    assert metrics["latency_min"].value == pooled.min()
    apart = np.abs(pooled - np.median(pooled))
    assert metrics["latency_mad"].value == pytest.approx(np.median(apart))
    for q in (90, 95, 99):
        want = np.quantile(pooled, q / 100, method="inverted_cdf")
        assert metrics[f"latency_p{q}"].value == want


def test_unstable_keeps_its_p50() -> None:
    p50 = by_name(measured(3, reached=False))["latency_p50"]
    assert p50.value == pytest.approx(1.001) and p50.ci95 is None and p50.status == "unstable"
    assert p50.reason == "n_proc=3 < 6"


def test_processor_time_of_an_inference() -> None:
    assert by_name(measured(6))["cpu_per_inference"].value == pytest.approx(2.0)  # 60 ms for 30


def test_memory_deltas_and_their_absence() -> None:
    metrics = by_name(measured(6))
    assert (metrics["peak_rss"].value, metrics["delta_load"].value) == (60, 30)
    assert metrics["delta_first"].value == 5
    assert (metrics["peak_anon"].value, metrics["held_pss"].value) == (40, 33)
    assert metrics["held_swap"].value == 0  # that is what the kernel said
    assert metrics["cgroup_peak"].value is None and "not readable" in metrics["cgroup_peak"].reason
    gone = by_name(measured(0, memory=None, failure="null: it crashed"))
    assert gone["peak_rss"].value is None and gone["peak_rss"].reason == "null: it crashed"
    assert gone["latency_p50"].status == "unavailable"

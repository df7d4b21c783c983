"""The numbers of one subject's scenarios."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgekd.bench import metric
from edgekd.bench import timing
from edgekd.bench.metric import MeasuredMetric
from edgekd.bench.scenario import energy as meters
from edgekd.bench.scenario.run import NS_PER_S
from edgekd.bench.scenario.run import Name
from edgekd.bench.scenario.run import ScenarioRun
from edgekd.bench.scenario.run import ScenarioSelection
from edgekd.bench.statistics import median

NS_PER_MS = 1e6
PART_NS = 60 * NS_PER_S
"""A sustained run is looked at minute by minute."""
Curve = tuple[tuple[float, float], ...]


def list_metrics(ran: ScenarioRun, wanted: ScenarioSelection) -> list[MeasuredMetric]:
    """Every number of one scenario; those that could not be had say why."""
    if ran.failure or not ran.processes:
        reason = ran.failure or "the budget ended before its first process"
        return [metric.missing_metric(name, unit, reason) for name, unit in HEADS[ran.name]]
    return FIGURES[ran.name](ran, wanted)


def make_curve(ran: ScenarioRun) -> Curve:
    """(batch, samples/s) of a throughput sweep, (minutes, p50 in ms) of a sustained run; else none."""
    if ran.name == "throughput" and ran.swept is not None:
        return tuple((float(batch), float(rate)) for batch, rate, _ in ran.swept["points"])
    if ran.name == "sustained" and ran.processes:
        stretches = _stretches(ran)
        return tuple((s.end_ns / PART_NS, s.median_ns / NS_PER_MS) for s in stretches)
    return ()


def _throughput(ran: ScenarioRun, wanted: ScenarioSelection) -> list[MeasuredMetric]:
    points = [process["points"][0] for process in ran.processes]
    batch = points[0][0]
    chosen = metric.plain_metric(
        "throughput_batch", "samples", float(batch), 1, 0, "sweep, smallest within 5 % of the best"
    )
    return [
        metric.median_metric("throughput", "samples/s", [rate for _, rate, _ in points], 0),
        chosen,
        metric.median_metric("throughput_latency_p50", "ms", [ms for _, _, ms in points], 0),
    ]


def _cold_start(ran: ScenarioRun, wanted: ScenarioSelection) -> list[MeasuredMetric]:
    warm = next((p["warm"] for p in ran.processes if p["warm"]), "")
    if warm:
        return [
            metric.missing_metric(name, unit, f"not cold: {warm}") for name, unit in HEADS[ran.name]
        ]
    return [
        metric.median_metric(f"cold_{name}", "ms", [p["cold_ms"][name] for p in ran.processes], 0)
        for name in timing.COLD
    ]


def _paced(ran: ScenarioRun, wanted: ScenarioSelection) -> list[MeasuredMetric]:
    count = sum(len(p["times_ns"]) for p in ran.processes)
    n_proc = len(ran.processes)
    found = []
    for name, key in (("paced", "times_ns"), ("paced_response", "response_ns")):
        medians_ms = [median(p[key]) / NS_PER_MS for p in ran.processes]
        pooled = sorted(ns / NS_PER_MS for p in ran.processes for ns in p[key])
        found.append(metric.median_metric(f"{name}_p50", "ms", medians_ms, count))
        found += [
            metric.percentile_metric(f"{name}_p{q}", "ms", pooled, q, n_proc)
            for q in metric.PERCENTILES
        ]
    late = sum(p["late"] for p in ran.processes) / count
    return [*found, metric.plain_metric("paced_late", "fraction", late, n_proc, count, "pooled")]


def _sustained(ran: ScenarioRun, wanted: ScenarioSelection) -> list[MeasuredMetric]:
    stretches = _stretches(ran)
    parts_ms = [ns / NS_PER_MS for ns in timing.part_medians_ns(stretches, PART_NS)]
    count = sum(stretch.iterations for stretch in stretches)
    if len(parts_ms) < 2:
        return [
            metric.missing_metric(name, unit, "the run was too short")
            for name, unit in HEADS[ran.name]
        ]
    values = {
        "sustained_first_p50": ("ms", parts_ms[0]),
        "sustained_last_p50": ("ms", parts_ms[-1]),
        "sustained_ratio": ("ratio", parts_ms[-1] / parts_ms[0]),
    }
    method = "median of a part's one-second medians"
    return [
        metric.plain_metric(name, unit, value, 1, count, method)
        for name, (unit, value) in values.items()
    ]


def _energy(ran: ScenarioRun, wanted: ScenarioSelection) -> list[MeasuredMetric]:
    told = ran.processes[0]
    if "reason" in told:
        return [metric.missing_metric(name, unit, told["reason"]) for name, unit in HEADS[ran.name]]
    busy = [meters.Window(*window) for window in told["busy"]]
    idle = [meters.Window(*window) for window in told["idle"]]
    fewest = min(window.updates for window in (*busy, *idle))
    if fewest < meters.MIN_UPDATES:
        reason = f"{told['source']}: {fewest} readings in a window < {meters.MIN_UPDATES}"
        return [metric.missing_metric(name, unit, reason) for name, unit in HEADS[ran.name]]
    cost = meters.cost_per_inference(busy, idle)
    count = sum(window.inferences for window in busy)
    found = [
        _over_windows("energy_per_inference", cost.net_j, count, f"{told['source']}, less idle"),
        _over_windows("energy_per_inference_gross", cost.gross_j, count, told["source"]),
    ]
    return [*found, metric.plain_metric("idle_power", "W", cost.idle_w, 1, 0, told["source"])]


def _over_windows(name: str, joules: list[float], count: int, source: str) -> MeasuredMetric:
    found = metric.median_metric(name, "J", joules, count)
    method = f"median of windows of one process/order-stat, {source}"
    return found.model_copy(update={"n_proc": 1, "method": method})


def _stretches(ran: ScenarioRun) -> list[timing.Stretch]:
    return [timing.Stretch(*stretch) for stretch in ran.processes[0]["stretches"]]


HEADS: dict[Name, tuple[tuple[str, str], ...]] = {
    "throughput": (("throughput", "samples/s"),),
    "cold_start": tuple((f"cold_{name}", "ms") for name in timing.COLD),
    "paced": (("paced_p50", "ms"),),
    "sustained": (("sustained_first_p50", "ms"), ("sustained_ratio", "ratio")),
    "energy": (("energy_per_inference", "J"), ("energy_per_inference_gross", "J")),
}
"""What is missing, with its unit, where a scenario gave nothing."""
FIGURES: dict[Name, Callable[[ScenarioRun, ScenarioSelection], list[MeasuredMetric]]] = {
    "throughput": _throughput,
    "cold_start": _cold_start,
    "paced": _paced,
    "sustained": _sustained,
    "energy": _energy,
}


def describe_settings(name: Name, wanted: ScenarioSelection) -> dict[str, Any]:
    """Return how the scenario was asked for, in the user's units."""
    asked: dict[Name, dict[str, Any]] = {
        "throughput": {"latency_bound_ms": wanted.bound_ms},
        "paced": {"rate_hz": wanted.rate_hz},
        "sustained": {"seconds": wanted.sustained_s},
    }
    return asked.get(name, {})

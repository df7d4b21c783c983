"""The numbers of one subject's latency, cold start and memory processes."""

from __future__ import annotations

from edgekd.bench import metric
from edgekd.bench.call import NEXT
from edgekd.bench.metric import MeasuredMetric
from edgekd.bench.session import Measurement
from edgekd.bench.statistics import median
from edgekd.bench.timing import COLD

NS_PER_MS = 1e6
DELTAS = {"delta_load": ("baseline", "load"), "delta_first": ("load", "first")}
"""Metric to the marks between which the peak grew."""
OPTIONAL = {
    "peak_anon": ("peak_anon_bytes", "RssAnon at the marks"),
    "cgroup_peak": ("cgroup_peak_bytes", "the control group's own, with page cache and neighbours"),
}
"""Metric to the key of a memory result, and its method."""
HELD = {"held_anon": "RssAnon", "held_file": "RssFile", "held_pss": "Pss", "held_swap": "VmSwap"}
"""Metric to the kernel's name, after a steady while."""


def list_metrics(measured: Measurement) -> list[MeasuredMetric]:
    """Every number of one subject; those that could not be had say why."""
    processes = measured.processes
    pooled = sorted(ns / NS_PER_MS for process in processes for ns in process["iters_ns"])
    stable: metric.Stability = "ok" if measured.reached else "unstable"
    medians_ms = [ns / NS_PER_MS for ns in measured.medians_ns()]
    n_proc, n_iter = len(processes), len(pooled)
    found = [metric.median_metric("latency_p50", "ms", medians_ms, n_iter, stable)]
    if measured.subject.call is not None and measured.subject.call.decoding.get("kind") == NEXT:
        found.append(_count_tokens(found[0]))
    caller_ms = [p["caller_ns"] / NS_PER_MS for p in processes if "caller_ns" in p]
    found.append(metric.median_metric("latency_caller_p50", "ms", caller_ms, len(caller_ms)))
    found += [
        metric.percentile_metric(f"latency_p{q}", "ms", pooled, q, n_proc)
        for q in metric.PERCENTILES
    ]
    if pooled:
        middle = median(pooled)
        spread = median([abs(value - middle) for value in pooled])
        values = {"mean": sum(pooled) / n_iter, "min": pooled[0], "mad": spread}
        for name, value in values.items():
            found.append(
                metric.plain_metric(f"latency_{name}", "ms", value, n_proc, n_iter, "pooled")
            )
    cpu_ms = [1e3 * p["cpu_s"] / len(p["iters_ns"]) for p in processes if "cpu_s" in p]
    found.append(metric.median_metric("cpu_per_inference", "ms", cpu_ms, n_iter))
    for name in COLD:
        cold = [p["cold_ms"][name] for p in processes if name in p["cold_ms"]]
        found.append(metric.median_metric(name, "ms", cold, len(cold)))
    return [*found, *list_memory_metrics(measured)]


def _count_tokens(time: MeasuredMetric) -> MeasuredMetric:
    """Tokens a second of a call that gives one, whose time in ms is known."""
    limits = None if time.ci95 is None else (1e3 / time.ci95[1], 1e3 / time.ci95[0])
    value = None if time.value is None else 1e3 / time.value
    said = {"name": "decode_tokens_per_s", "unit": "tokens/s", "value": value, "ci95": limits}
    return time.model_copy(update=said)


def list_memory_metrics(measured: Measurement) -> list[MeasuredMetric]:
    """Peaks by phase, and what is held after a steady while, of the memory process."""
    told = measured.memory
    if told is None or told.get("peak_rss_bytes") is None:
        reason = measured.failure or "this system has no /proc/self/status"
        return [metric.missing_metric("peak_rss", "bytes", reason)]
    marks = told.get("marks_bytes", {})
    found = [metric.plain_metric("peak_rss", "bytes", float(told["peak_rss_bytes"]), 1, 0, "VmHWM")]
    for name, (before, after) in DELTAS.items():
        known = marks.get(before) is not None and marks.get(after) is not None
        grown = marks[after] - marks[before] if known else None
        found.append(_optional(name, grown, "VmHWM"))
    for name, (key, method) in OPTIONAL.items():
        found.append(_optional(name, told.get(key), method))
    held = told.get("held_bytes", {})
    return found + [_optional(name, held.get(field), field) for name, field in HELD.items()]


def _optional(name: str, value: int | None, method: str) -> MeasuredMetric:
    if value is None:
        return metric.missing_metric(name, "bytes", f"{method} is not readable here")
    return metric.plain_metric(name, "bytes", float(value), 1, 0, method)

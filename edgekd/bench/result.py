"""What a measurement says, in the published schema ``edgekd.bench/1``.

History: 1, the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from typing import Any
from typing import Literal

from pydantic import Field

from edgekd.bench import statistics
from edgekd.bench.session import Measured
from edgekd.bench.session import Rules
from edgekd.settings import Settings

SCHEMA: Literal["edgekd.bench/1"] = "edgekd.bench/1"
Status = Literal["ok", "unstable", "not_steady", "failed"]
COLD = ("spawn_ms", "import_ms", "load_ms", "first_infer_ms", "second_infer_ms", "tti_ms")
NS_PER_MS = 1e6
ACROSS = "median-of-process-medians/order-stat"


class Metric(Settings):
    """One number, how it was come by, or why it is missing."""

    name: str
    unit: str
    value: float | None
    ci95: tuple[float, float] | None = None
    n_proc: int = 0
    n_iter: int = 0
    method: str = ""
    status: Literal["ok", "unstable", "insufficient", "unavailable"] = "ok"
    reason: str = ""


class SubjectFacts(Settings):
    """What was measured."""

    name: str
    runtime: str
    precision: str
    model_sha256: str | None = None
    runtime_version: str | None = None


class Config(Settings):
    """How it was run."""

    scenario: Literal["single_stream"] = "single_stream"
    batch: int
    threads: int
    inputs: Literal["given", "seeded"]
    seed: int


class Stopping(Settings):
    """Level 2 of the stopping rule."""

    rule: Literal["median-ci"] = "median-ci"
    target_halfwidth: float
    reached: bool
    processes: int
    budget_s: float


class Result(Settings):
    """One subject."""

    status: Status
    reason: str = ""
    subject: SubjectFacts
    config: Config
    stopping: Stopping
    metrics: tuple[Metric, ...]
    phases: dict[str, tuple[float, ...]]
    """Cold start of every process, by phase, in ms."""
    process_medians_ms: tuple[float, ...]


class Fingerprint(Settings):
    """Which machine; numbers of two keys are not compared."""

    key: str
    fields: dict[str, Any]
    now: dict[str, Any]
    """Load and uptime: described, not in the key."""


class Document(Settings):
    """What ``edgekd bench --json`` prints."""

    format: Annotated[Literal["edgekd.bench/1"], Field(alias="schema")] = SCHEMA
    edgekd: str
    ended_utc: str
    fingerprint: Fingerprint
    results: tuple[Result, ...]


def schema() -> dict[str, Any]:
    """The JSON schema of `Document`."""
    return Document.model_json_schema(mode="serialization")


def status_of(measured: Measured) -> tuple[Status, str]:
    """A word for it and the reason."""
    if measured.failure or not measured.processes:
        return "failed", measured.failure or "the budget ended before the first process"
    if not measured.reached:
        count = len(measured.processes)
        return "unstable", f"the interval over {count} processes is wider than wanted"
    cold = sum(not process["steady"] for process in measured.processes)
    if 2 * cold > len(measured.processes):
        return "not_steady", f"{cold} of {len(measured.processes)} processes never warmed up"
    return "ok", ""


def result(measured: Measured, rules: Rules, facts: SubjectFacts) -> Result:
    """One subject's measurement in the published form."""
    status, reason = status_of(measured)
    subject = measured.subject
    return Result(
        status=status,
        reason=reason,
        subject=facts,
        config=Config(
            batch=subject.batch,
            threads=subject.engine.threads,
            inputs="seeded" if subject.inputs is None else "given",
            seed=rules.seed,
        ),
        stopping=Stopping(
            target_halfwidth=rules.half_width,
            reached=measured.reached,
            processes=len(measured.processes),
            budget_s=rules.budget_s,
        ),
        metrics=tuple(metrics(measured)),
        phases={name: tuple(p["cold_ms"][name] for p in measured.processes) for name in COLD},
        process_medians_ms=tuple(ns / NS_PER_MS for ns in measured.medians_ns()),
    )


def metrics(measured: Measured) -> list[Metric]:
    """Every metric of one subject; those that could not be had say why."""
    processes = measured.processes
    pooled = sorted(ns / NS_PER_MS for process in processes for ns in process["iters_ns"])
    stable: Literal["ok", "unstable"] = "ok" if measured.reached else "unstable"
    medians_ms = [ns / NS_PER_MS for ns in measured.medians_ns()]
    found = [_over_processes("latency_p50", "ms", medians_ms, len(pooled), stable)]
    found += [_quantile(pooled, q, len(processes)) for q in (90, 95, 99)]
    plain = {"mean": sum(pooled) / len(pooled), "min": pooled[0]} if pooled else {}
    found += [
        Metric(
            name=f"latency_{name}",
            unit="ms",
            value=value,
            n_proc=len(processes),
            n_iter=len(pooled),
            method="pooled",
        )
        for name, value in plain.items()
    ]
    for name in COLD:
        cold = [process["cold_ms"][name] for process in processes]
        found.append(_over_processes(name, "ms", cold, len(cold), "ok"))
    return [*found, *_memory(measured)]


def _over_processes(
    name: str, unit: str, values: Sequence[float], n_iter: int, status: Literal["ok", "unstable"]
) -> Metric:
    if not values:
        return _missing(name, unit, "no process ended with a result")
    across = statistics.across(values)
    reason = "" if across.interval else f"n_proc={len(values)} < {statistics.MIN_FOR_INTERVAL}"
    return Metric(
        name=name,
        unit=unit,
        value=across.value,
        ci95=None if across.interval is None else (across.interval.low, across.interval.high),
        n_proc=len(values),
        n_iter=n_iter,
        method=ACROSS + ("/widened for drift" if across.drifting else ""),
        status=status,
        reason=reason,
    )


def _quantile(pooled_ms: Sequence[float], q: int, n_proc: int) -> Metric:
    figure = statistics.percentile(pooled_ms, q)
    return Metric(
        name=f"latency_p{q}",
        unit="ms",
        value=figure.value,
        n_proc=n_proc,
        n_iter=len(pooled_ms),
        method="pooled nearest rank",
        status="insufficient" if figure.value is None else "ok",
        reason=figure.reason,
    )


def _memory(measured: Measured) -> list[Metric]:
    memory = measured.memory
    if memory is None or memory["peak_rss_bytes"] is None:
        reason = measured.failure or "this system has no /proc/self/status"
        return [_missing("peak_rss", "bytes", reason)]
    marks = memory["marks_bytes"]
    values = {
        "peak_rss": memory["peak_rss_bytes"],
        "delta_load": marks["load"] - marks["baseline"],
        "delta_first": marks["first"] - marks["load"],
    }
    return [
        Metric(name=name, unit="bytes", value=float(value), n_proc=1, method="VmHWM")
        for name, value in values.items()
    ]


def _missing(name: str, unit: str, reason: str) -> Metric:
    return Metric(name=name, unit=unit, value=None, status="unavailable", reason=reason)

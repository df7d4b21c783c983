"""One published number: how it was come by, or why it is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from edgekd.bench import statistics
from edgekd.settings import Settings

ACROSS = "median-of-process-medians/order-stat"
PERCENTILES = (90, 95, 99)
Stability = Literal["ok", "unstable"]


class MeasuredMetric(Settings):
    """One number."""

    name: str
    unit: str
    value: float | None
    """Null where it could not be had; `reason` says why. Never 0 for that."""
    ci95: tuple[float, float] | None = None
    n_proc: int = 0
    """Fresh processes it stands on."""
    n_iter: int = 0
    """Inferences it stands on."""
    method: str = ""
    status: Literal["ok", "unstable", "insufficient", "unavailable"] = "ok"
    reason: str = ""


def median_metric(
    name: str, unit: str, values: Sequence[float], n_iter: int, status: Stability = "ok"
) -> MeasuredMetric:
    """The median of one value a process, with the interval over processes."""
    if not values:
        return missing_metric(name, unit, "no process ended with a result")
    found = statistics.summarize_processes(values)
    reason = "" if found.interval else f"n_proc={len(values)} < {statistics.MIN_FOR_INTERVAL}"
    return MeasuredMetric(
        name=name,
        unit=unit,
        value=found.value,
        ci95=None if found.interval is None else (found.interval.low, found.interval.high),
        n_proc=len(values),
        n_iter=n_iter,
        method=ACROSS + ("/widened for drift" if found.drifting else ""),
        status=status,
        reason=reason,
    )


def percentile_metric(
    name: str, unit: str, pooled: Sequence[float], q: int, n_proc: int
) -> MeasuredMetric:
    """A percentile of all iterations; null with the reason where they are too few for it."""
    figure = statistics.percentile(pooled, q)
    return MeasuredMetric(
        name=name,
        unit=unit,
        value=figure.value,
        n_proc=n_proc,
        n_iter=len(pooled),
        method="pooled nearest rank",
        status="insufficient" if figure.value is None else "ok",
        reason=figure.reason,
    )


def plain_metric(
    name: str, unit: str, value: float, n_proc: int, n_iter: int, method: str
) -> MeasuredMetric:
    """A number that has no interval."""
    return MeasuredMetric(
        name=name, unit=unit, value=value, n_proc=n_proc, n_iter=n_iter, method=method
    )


def missing_metric(name: str, unit: str, reason: str) -> MeasuredMetric:
    """A number that could not be had."""
    return MeasuredMetric(name=name, unit=unit, value=None, status="unavailable", reason=reason)

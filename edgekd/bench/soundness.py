"""Whether a worker's result has the form its job gives: it may come from a machine that is not ours."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from edgekd.bench.process import WorkerFailed
from edgekd.bench.timing import COLD

MARKS = ("import", "baseline", "load", "first", "steady")
TEXT_CHARS = 200
Check = Callable[[Any], bool]


def want(job: str, found: Mapping[str, Any], name: str) -> None:
    """Nothing, if each entry of `found` that is read later is what `job` writes.

    Raises:
        WorkerFailed: naming the first that is not.
    """
    for key in REQUIRED.get(job, ()):
        if key not in found:
            raise WorkerFailed(f"{name}: the worker's result lacks {key}")
    for key, sound in FORMS.items():
        if key in found and not sound(found[key]):
            raise WorkerFailed(f"{name}: the worker gave {key} that is none: {found[key]!r:.60}")


def number(value: object, least: float = 0.0) -> bool:
    """A number, finite and not below `least`."""
    kind = isinstance(value, int | float) and not isinstance(value, bool)
    return kind and least <= value < 2**63  # type: ignore[operator]  # NaN is in no range


def _optional(value: object) -> bool:
    return value is None or number(value)


def _times(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(number(one, 1) for one in value)


def _rows(width: int) -> Check:
    def sound(value: object) -> bool:
        return isinstance(value, list) and bool(value) and all(map(row, value))

    def row(value: object) -> bool:
        return isinstance(value, list) and len(value) == width and all(map(number, value))

    return sound


def _numbers_by(names: tuple[str, ...] | None) -> Check:
    def sound(value: object) -> bool:
        return (
            isinstance(value, dict)
            and (names is None or set(value) <= set(names))
            and all(map(_optional, value.values()))
        )

    return sound


def _text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= TEXT_CHARS


def _cores(value: object) -> bool:
    return value is None or isinstance(value, list) and all(isinstance(n, int) for n in value)


REQUIRED = {
    "latency": ("iters_ns", "steady", "cold_ms"),
    "throughput": ("points",),
    "cold_start": ("cold_ms", "warm"),
    "paced": ("times_ns", "response_ns", "late"),
    "sustained": ("stretches",),
}
FORMS: dict[str, Check] = {
    "iters_ns": _times,
    "times_ns": _times,
    "response_ns": _times,
    "steady": lambda value: isinstance(value, bool),
    "cold_ms": _numbers_by(COLD),
    "repeated_ns": number,
    "caller_ns": number,
    "warmup_iters": number,
    "majflt": number,
    "nivcsw": number,
    "cpu_s": number,
    "late": number,
    "inputs_sha256": _text,
    "affinity": _cores,
    "peak_rss_bytes": _optional,
    "peak_anon_bytes": _optional,
    "cgroup_peak_bytes": _optional,
    "marks_bytes": _numbers_by(MARKS),
    "held_bytes": _numbers_by(None),
    "points": _rows(3),
    "stretches": _rows(4),
    "busy": _rows(4),
    "idle": _rows(4),
    "warm": _text,
    "reason": _text,
    "source": _text,
}
"""By the key of a result; what is not there is not asked for."""

"""Rows of ``rows.json``: what is known of a subject before it is timed, and then with its times."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from edgekd.bench import result
from edgekd.bench import session
from edgekd.bench.answers import Answers
from edgekd.bench.call import CONTEXT
from edgekd.bench.call import CallPlan
from edgekd.bench.candidate import Candidate
from edgekd.bench.engine import Engine
from edgekd.bench.machine.validity import Validity
from edgekd.bench.result import figures
from edgekd.bench.roles import find_reference
from edgekd.bench.status import FAILED
from edgekd.bench.status import INVALID
from edgekd.bench.status import NOT_MEASURED
from edgekd.bench.status import OK
from edgekd.bench.status import Status
from edgekd.bench.status import read_status
from edgekd.bench.timing import COLD

REFERENCE_PRECISION = "fp32"
Row = Mapping[str, Any]


def blank_row(
    name: str,
    subject: Candidate,
    engine: Engine,
    about: Mapping[str, Any],
    answers: Answers,
    sizes: Mapping[str, int] = {},
) -> dict[str, Any]:
    """A row with everything that is known before timing; of several outputs each by its name, too; of free axes the
    usual sizes."""
    several = {name: each._asdict() for name, each in answers.outputs.items()}
    return {
        "name": name,
        "model": subject.model,
        "runtime": subject.runtime,
        "runtime_version": about["runtime_version"],
        "precision": subject.precision,
        "profile": subject.profile,
        "threads": engine.threads,
        "validation_score": answers.score,
        "metrics": dict(answers.metrics or {}),
        "parity_max_abs": answers.max_abs,
        "parity_rms": answers.rms,
        "parity_steps": answers.steps,
        "agreement": answers.agreement,
        **({"parity_outputs": several} if len(several) > 1 else {}),
        **({} if answers.float_agreement is None else {"float_agreement": answers.float_agreement}),
        **({"sizes": dict(sizes)} if sizes else {}),
        "size_bytes": about["size_bytes"],
        "kernels": about["kernels"],
        "islands": about.get("islands", []),
        "status": answers.status.word,
        "reason": answers.status.reason,
    }


def resize_row(row: Row, call: CallPlan) -> dict[str, Any]:
    """The row of `blank_row` for the same engine at other sizes; it answers as it does at the usual ones."""
    name = f"{row['name']} {call.label}"
    return {**row, "name": name, "usual_row": row["name"], "sizes": dict(call.sizes)}


def is_usual(row: Row) -> bool:
    """Return whether a row is of the usual sizes."""
    return not row.get("usual_row")


def fill_row(
    row: Mapping[str, Any],
    measured: session.Measurement | None,
    validity: Validity | None = None,
    emulated: str | None = None,
) -> dict[str, Any]:
    """`row` with its timings, or with nulls where there are none.

    A row whose answers are right keeps its score on an emulated device, and no time. ``settled``
    says whether its interval is as narrow as wanted; whether it matters, the stage `choose` knows.

    Args:
        row: of `blank_row`.
        measured: None if it was not timed.
        validity: whether the machine was fit meanwhile.
        emulated: what emulates the device's processor.
    """
    metrics = {} if measured is None else {m.name: m for m in figures.list_metrics(measured)}
    values = {name: metric.value for name, metric in metrics.items()}
    p50, peak = metrics.get("latency_p50"), values.get("peak_rss")
    status, settled = read_status(row), False
    if emulated and status.word == OK:
        status = Status(NOT_MEASURED, f"emulated ({emulated})")
    if measured is not None:
        word, reason = result.status_of(measured, validity)
        settled = word == OK
        if word == FAILED:
            status = Status(FAILED if measured.failure else NOT_MEASURED, reason)
        else:
            status = Status(INVALID, reason) if word == INVALID else Status()
    return {
        **row,
        "latency_p50_ms": values.get("latency_p50"),
        "latency_ci95_ms": None if p50 is None or p50.ci95 is None else list(p50.ci95),
        **{f"latency_p{q}_ms": values.get(f"latency_p{q}") for q in (90, 95, 99)},
        **_describe_rate(row, values.get("latency_p50")),
        **_describe_stream(measured),
        "latency_mean_ms": values.get("latency_mean"),
        "latency_caller_p50_ms": values.get("latency_caller_p50"),
        "peak_rss_bytes": None if peak is None else int(peak),
        "cold_start_ms": {n: values[n] for n in COLD if values.get(n) is not None},
        "processes": 0 if measured is None else len(measured.processes),
        "iterations": 0 if p50 is None else p50.n_iter,
        "settled": settled,
        "status": status.word,
        "reason": status.reason,
    }


def _describe_stream(measured: session.Measurement | None) -> dict[str, Any]:
    """How a decoder's attention runs and what its cache is, where a token of it was measured."""
    told = None if measured is None else (measured.memory or {}).get("stream")
    return {} if told is None else {"stream": dict(told)}


def _describe_rate(row: Row, time_ms: float | None) -> dict[str, Any]:
    """Tokens a second of a row whose call is one token behind others."""
    if CONTEXT not in row.get("sizes", {}):
        return {}
    return {"decode_tokens_per_s": 1000 / time_ms if time_ms else None}


def reference_of(row: Row, rows: Sequence[Row]) -> Row | None:
    """The fp32 row of what candidates are compared with (`find_reference`), on the same engine and number of threads,
    at the same sizes; it may be `row` itself."""
    role = find_reference({other["model"] for other in rows})

    def facts(row: Row) -> tuple[Any, ...]:
        return row["runtime"], row["threads"], None if is_usual(row) else row["sizes"]

    floats = (other for other in rows if other["precision"] == REFERENCE_PRECISION)
    found = (each for each in floats if each["model"] == role and facts(each) == facts(row))
    return next(found, None)

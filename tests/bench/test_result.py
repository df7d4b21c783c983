from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgekd.bench import document
from edgekd.bench import result
from edgekd.bench.engine import Engine
from edgekd.bench.session import Measured
from edgekd.bench.session import Rules
from edgekd.bench.session import Subject
from edgekd.bench.user_models import Ready

COLD = dict.fromkeys(result.COLD, 10.0)
MARKS = {"import": 30, "baseline": 20, "load": 50, "first": 55, "steady": 60}


def measured(processes: int, iterations: int = 30, **more: Any) -> Measured:
    engine = Engine("null", "fp32", 1, {})
    found = Measured(Subject("a", engine), engine, reached=True)
    found.processes = [
        {"iters_ns": [1_000_000 + 1000 * n] * iterations, "steady": True, "cold_ms": COLD}
        for n in range(processes)
    ]
    found.memory = {"peak_rss_bytes": 60, "marks_bytes": MARKS}
    for name, value in more.items():
        setattr(found, name, value)
    return found


def by_name(found: Measured) -> dict[str, result.Metric]:
    return {metric.name: metric for metric in result.metrics(found)}


def test_p50_is_the_median_of_process_medians() -> None:
    p50 = by_name(measured(6))["latency_p50"]
    assert p50.value == pytest.approx(1.0025)
    # medians rise from one process to the next: drift, and the interval is wider than [x1, x6]
    assert p50.ci95 is not None and p50.ci95[0] < 1.0 and p50.ci95[1] > 1.005
    assert (p50.n_proc, p50.n_iter, p50.status) == (6, 180, "ok")
    assert "widened" in p50.method


def test_p99_of_too_few_is_null_with_the_reason() -> None:
    metrics = by_name(measured(6, 50))
    assert metrics["latency_p99"].value is None
    assert metrics["latency_p99"].status == "insufficient"
    assert metrics["latency_p99"].reason == "n=300 < 662"
    assert metrics["latency_p95"].value == pytest.approx(1.005)


def test_unstable_keeps_its_p50() -> None:
    found = measured(3, reached=False)
    assert result.status_of(found)[0] == "unstable"
    p50 = by_name(found)["latency_p50"]
    assert p50.value == pytest.approx(1.001) and p50.ci95 is None and p50.status == "unstable"
    assert p50.reason == "n_proc=3 < 6"


def test_cold_processes_are_told() -> None:
    found = measured(6)
    for process in found.processes[:4]:
        process["steady"] = False
    assert result.status_of(found) == ("not_steady", "4 of 6 processes never warmed up")


def test_memory_deltas_and_their_absence() -> None:
    metrics = by_name(measured(6))
    assert (metrics["peak_rss"].value, metrics["delta_load"].value) == (60, 30)
    assert metrics["delta_first"].value == 5
    gone = by_name(measured(0, memory=None, failure="null: it crashed"))
    assert gone["peak_rss"].value is None and gone["peak_rss"].reason == "null: it crashed"
    assert gone["latency_p50"].status == "unavailable"


def test_the_document_keeps_to_the_published_schema(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"x")
    ready = [Ready(Subject("a", Engine("null", "fp32", 1, {})), tmp_path / "m", "1.0")] * 2
    found = [measured(6), measured(0, memory=None, failure="null: it crashed")]
    made = document.document(ready, found, Rules()).model_dump(mode="json", by_alias=True)
    jsonschema.validate(made, result.schema())
    assert made["schema"] == "edgekd.bench/1"
    assert [r["status"] for r in made["results"]] == ["ok", "failed"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**made, "more": 1}, result.schema())

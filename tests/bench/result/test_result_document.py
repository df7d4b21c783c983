from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgekd.bench import result
from edgekd.bench.machine.host import Host
from edgekd.bench.machine.monitor import Monitor
from edgekd.bench.result import document
from edgekd.bench.result import raw
from edgekd.bench.scenario.run import ScenarioRun
from edgekd.bench.scenario.run import ScenarioSelection
from edgekd.bench.session import Rules
from edgekd.bench.session_record import SessionRecord
from edgekd.bench.session_record import now_utc
from edgekd.bench.user_models import PreparedSubject
from tests.measured_example import measured


@pytest.fixture
def record(tmp_path: Path) -> SessionRecord:
    (tmp_path / "m").write_bytes(b"x")
    found = [measured(6), measured(0, memory=None, failure="null: it crashed")]
    monitor = Monitor(lambda *args, **more: {})
    monitor.snapshot_log.canaries_ns = [1e6, 1.1e6, 1.2e6]
    return SessionRecord(
        ready=[PreparedSubject(one.subject, tmp_path / "m", "1.0") for one in found],
        measured=found,
        scenarios=[{"energy": ScenarioRun("energy", [{"reason": "no readable counter"}])}, {}],
        wanted=ScenarioSelection(energy=True),
        rules=Rules(),
        monitor=monitor,
        host=Host("local", "k", {"cores": 2}, {"load_1min": 0.1}, {}, {}),
        argv=("bench", "m"),
        started_utc=now_utc(),
    )


def dumped(made: result.MeasurementDocument) -> dict[str, Any]:
    return made.model_dump(mode="json", by_alias=True)


def test_the_document_keeps_to_the_published_schema(record: SessionRecord) -> None:
    made = dumped(document.make_document(record))
    jsonschema.validate(made, result.schema())
    assert made["schema"] == "edgekd.bench/2"
    assert [r["status"] for r in made["results"]] == ["ok", "failed"]
    assert made["provenance"]["argv"] == ["bench", "m"]
    assert made["canary"]["variation"] == pytest.approx(0.1 / 1.1)
    warnings = made["results"][0]["valid"]["warnings"]
    assert any("drifts: the canary" in warning for warning in warnings)
    (energy,) = made["results"][0]["scenarios"]
    assert energy["metrics"][0]["value"] is None


@pytest.mark.parametrize(
    "path",
    [(), ("results", 0), ("results", 0, "config"), ("results", 0, "metrics", 0), ("canary",)],
)
def test_unknown_fields_are_refused(record: SessionRecord, path: tuple[Any, ...]) -> None:
    made = dumped(document.make_document(record))
    place = made
    for step in path:
        place = place[step]
    place["more"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(made, result.schema())
    with pytest.raises(ValueError, match="more"):
        result.MeasurementDocument.model_validate(made, strict=False)


def test_it_reads_its_own_json_again(record: SessionRecord) -> None:
    made = document.make_document(record)
    assert (
        result.MeasurementDocument.model_validate_json(made.model_dump_json(by_alias=True)) == made
    )


def test_raw_times_stand_in_a_file_of_their_own(record: SessionRecord, tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl.gz"
    side = raw.write(path, raw.make_lines(record.measured, record.scenarios))
    assert side.size_bytes == path.stat().st_size
    assert dumped(document.make_document(record, side))["raw"]["sha256"] == side.sha256
    again = raw.pack_lines(raw.make_lines(record.measured, record.scenarios))
    assert path.read_bytes() == again
    lines = raw.read(path)
    assert [(line["job"], line["process"]) for line in lines] == [
        ("memory", 0),
        *(("latency", n) for n in range(6)),
        ("energy", 0),
    ]
    assert lines[3]["result"]["iters_ns"] == [1_002_000] * 30

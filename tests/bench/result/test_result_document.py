from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from edgekd.bench import result
from edgekd.bench.machine.site import Site
from edgekd.bench.machine.watch import Watch
from edgekd.bench.result import document
from edgekd.bench.result import raw
from edgekd.bench.scenario.run import Ran
from edgekd.bench.scenario.run import Wanted
from edgekd.bench.session import Rules
from edgekd.bench.sitting import Sitting
from edgekd.bench.sitting import now_utc
from edgekd.bench.user_models import Ready
from tests.measured_example import measured


@pytest.fixture
def sitting(tmp_path: Path) -> Sitting:
    (tmp_path / "m").write_bytes(b"x")
    found = [measured(6), measured(0, memory=None, failure="null: it crashed")]
    watch = Watch(lambda *args, **more: {})
    watch.looks.canaries_ns = [1e6, 1.1e6, 1.2e6]
    return Sitting(
        ready=[Ready(one.subject, tmp_path / "m", "1.0") for one in found],
        measured=found,
        scenarios=[{"energy": Ran("energy", [{"reason": "no readable counter"}])}, {}],
        wanted=Wanted(energy=True),
        rules=Rules(),
        watch=watch,
        site=Site("local", "k", {"cores": 2}, {"load_1min": 0.1}, {}, {}),
        argv=("bench", "m"),
        started_utc=now_utc(),
    )


def dumped(made: result.Document) -> dict[str, Any]:
    return made.model_dump(mode="json", by_alias=True)


def test_the_document_keeps_to_the_published_schema(sitting: Sitting) -> None:
    made = dumped(document.document(sitting))
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
def test_unknown_fields_are_refused(sitting: Sitting, path: tuple[Any, ...]) -> None:
    made = dumped(document.document(sitting))
    place = made
    for step in path:
        place = place[step]
    place["more"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(made, result.schema())
    with pytest.raises(ValueError, match="more"):
        result.Document.model_validate(made, strict=False)


def test_it_reads_its_own_json_again(sitting: Sitting) -> None:
    made = document.document(sitting)
    assert result.Document.model_validate_json(made.model_dump_json(by_alias=True)) == made


def test_raw_times_stand_in_a_file_of_their_own(sitting: Sitting, tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl.gz"
    side = raw.write(path, raw.lines(sitting.measured, sitting.scenarios))
    assert side.size_bytes == path.stat().st_size
    assert dumped(document.document(sitting, side))["raw"]["sha256"] == side.sha256
    again = raw.packed(raw.lines(sitting.measured, sitting.scenarios))
    assert path.read_bytes() == again
    lines = raw.read(path)
    assert [(line["job"], line["process"]) for line in lines] == [
        ("memory", 0),
        *(("latency", n) for n in range(6)),
        ("energy", 0),
    ]
    assert lines[3]["result"]["iters_ns"] == [1_002_000] * 30

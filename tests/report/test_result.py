from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from edgekd import files
from edgekd.errors import InputError
from edgekd.report import result
from tests import report_example

WANTED = {
    "name",
    "runtime",
    "precision",
    "threads",
    "score",
    "latency_p50_ms",
    "peak_rss_bytes",
    "size_bytes",
    "parity_max_abs",
    "agreement",
    "status",
}


def test_a_result_comes_back_from_its_file_and_fits_the_published_schema(tmp_path: Path) -> None:
    made = report_example.result()
    value = made.model_dump(mode="json")
    (tmp_path / "result.json").write_bytes(files.pretty_json(value))
    assert result.read(tmp_path) == made
    jsonschema.validate(value, result.schema())
    assert value["format"] == "edgekd.result/2"
    for role in ("teacher", "control", "student"):
        assert {"score", "parameters", "macs"} <= set(value[role])
    assert all(set(row) >= WANTED for row in value["candidates"])
    assert {"chosen", "budget", "lineage"} <= set(value)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda v: v.update(format="edgekd.result/9"),
        lambda v: v.pop("student"),
        lambda v: v.update(extra=1),
        lambda v: v["candidates"][0].update(score="1.5"),
        lambda v: v["student"].update(parameters="78k"),
    ],
)
def test_what_does_not_fit_the_schema_is_refused(tmp_path: Path, spoil) -> None:
    value = report_example.result().model_dump(mode="json")
    spoil(value)
    (tmp_path / "result.json").write_text(json.dumps(value))
    with pytest.raises(InputError, match=r"result\.json"):
        result.read(tmp_path)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, result.schema())


def test_a_folder_without_a_result_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="want the folder of a finished run"):
        result.read(tmp_path)


def test_a_result_of_an_older_format_says_what_can_be_given(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(json.dumps({"format": "edgekd.result/1", "any": 1}))
    with pytest.raises(InputError, match="got edgekd.result/1, want edgekd.result/2$") as caught:
        result.read(tmp_path)
    assert str(tmp_path / "bundle") in caught.value.hint

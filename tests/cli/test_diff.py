from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekd import cli
from edgekd.errors import InputError
from tests import report_example


def put(folder: Path, **other: object) -> str:
    made = report_example.result().model_copy(update=other)
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(made.model_dump_json())
    return str(folder)


def test_in_words_and_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    many = {f"key-{number:03}": number for number in range(50)}
    one, other = (
        put(tmp_path / "a"),
        put(tmp_path / "b", resolved_recipe={"long": "x" * 500, **many}),
    )
    rows = list(report_example.result().candidates)
    rows[1] = rows[1].model_copy(update={"latency_p50_ms": 0.5, "latency_ci95_ms": (0.4, 0.6)})
    faster = put(tmp_path / "c", candidates=tuple(rows))
    done = CliRunner().invoke(cli.main, ["diff", one, other])
    assert done.exit_code == 0 and max(map(len, done.stdout.splitlines())) <= 80
    assert "and 11 more; --json has them all" in done.stdout and "data: the same" in done.stdout
    assert "figures: the same" in done.stdout
    told = CliRunner().invoke(cli.main, ["diff", one, faster]).stdout
    assert "0.5 ms (0.4 to 0.6)" in told and "apart" in told and "settings: the same" in told
    made = json.loads(CliRunner().invoke(cli.main, ["diff", one, other, "--json"]).stdout)
    assert made["settings"][-1] == {"key": "long", "first": None, "second": "x" * 500}
    assert len(made["settings"]) == 51 and made["figures"] == []


def test_a_step_more_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    steps = [{"losses": ["x" * 90], "step": "distil"}, {"bits": 8, "step": "quantize"}]
    one = put(tmp_path / "a", resolved_recipe={"learn": steps[:1]})
    other = put(tmp_path / "b", resolved_recipe={"learn": steps})
    lines = CliRunner().invoke(cli.main, ["diff", one, other]).stdout.splitlines()
    assert lines[1] == '  learn.1  –  {"step": "quantize", "bits": 8}'


def test_what_is_no_run(tmp_path: Path) -> None:
    one = put(tmp_path / "a")
    done = CliRunner().invoke(cli.main, ["diff", one, str(tmp_path / "no")])
    assert isinstance(done.exception, InputError) and "no" in str(done.exception)

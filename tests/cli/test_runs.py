from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekd import cli
from edgekd.errors import InputError
from tests import report_example


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


def put(folder: Path, **other: object) -> None:
    made = report_example.result().model_copy(update=other)
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(made.model_dump_json())


def test_a_table_of_80_columns_and_json(place: Path) -> None:
    put(place / "runs" / "fashion-mnist-2", date="2026-11-29T15:41:01Z")
    put(place / "runs" / "other" / "nothing-chosen", chosen=None)
    (place / "runs" / "bad").mkdir()
    (place / "runs" / "bad" / "result.json").write_text("\x1b[2J" * 30)
    done = CliRunner().invoke(cli.main, ["runs"])
    assert done.exit_code == 0 and max(map(len, done.stdout.splitlines())) <= 80
    lines = done.stdout.splitlines()
    assert lines[0].startswith("where") and lines[1].startswith("runs/fashion-")
    assert "2026-11-29" in lines[1] and "nothing" in done.stdout and "\x1b" not in done.stdout
    rows = json.loads(CliRunner().invoke(cli.main, ["runs", "runs", "--json"]).stdout)
    assert {row["folder"] for row in rows} == {
        "runs/fashion-mnist-2",
        "runs/other/nothing-chosen",
        "runs/bad",
    }


def test_no_folder_and_no_runs(place: Path) -> None:
    assert isinstance(CliRunner().invoke(cli.main, ["runs"]).exception, InputError)
    (place / "runs").mkdir()
    assert "no run in runs" in CliRunner().invoke(cli.main, ["runs"]).stdout
    assert json.loads(CliRunner().invoke(cli.main, ["runs", "--json"]).stdout) == []

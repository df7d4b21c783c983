from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from edgekd import files
from edgekd.cli.report import command
from edgekd.errors import InputError
from edgekd.report import markdown
from tests import report_example


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    made = report_example.result()
    (tmp_path / "result.json").write_bytes(files.pretty_json(made.model_dump(mode="json")))
    (tmp_path / "report.md").write_text(markdown.report_page(made))
    return tmp_path


def test_the_page_is_printed_as_it_is_where_there_is_no_terminal(run_dir: Path) -> None:
    done = CliRunner().invoke(command, [str(run_dir)])
    assert done.exit_code == 0 and done.output == (run_dir / "report.md").read_text()


def test_json_is_the_result(run_dir: Path) -> None:
    done = CliRunner().invoke(command, [str(run_dir), "--json"])
    assert json.loads(done.output) == json.loads((run_dir / "result.json").read_text())


@pytest.mark.parametrize("name", ["result.json", "report.md"])
def test_a_run_that_is_not_finished_is_refused(run_dir: Path, name: str) -> None:
    (run_dir / name).unlink()
    done = CliRunner().invoke(command, [str(run_dir)])
    assert isinstance(done.exception, InputError) and name in str(done.exception)


def test_a_result_of_another_kind_is_refused(run_dir: Path) -> None:
    (run_dir / "result.json").write_text('{"format": "other"}')
    done = CliRunner().invoke(command, [str(run_dir)])
    assert isinstance(done.exception, InputError) and done.output == ""


def test_the_html_page_is_opened_and_its_path_printed(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda page: shown.append(page) or True)
    assert "report.html" in str(CliRunner().invoke(command, [str(run_dir), "--open"]).exception)
    (run_dir / "report.html").write_text("<!DOCTYPE html>")
    done = CliRunner().invoke(command, [str(run_dir), "--open"])
    assert done.output.strip() == str(run_dir / "report.html")
    assert shown == [(run_dir / "report.html").resolve().as_uri()]
    monkeypatch.setattr("webbrowser.open", lambda page: False)
    done = CliRunner().invoke(command, [str(run_dir), "--open"])
    assert done.exit_code == 0 and done.stderr.startswith("no browser could be opened")


def test_two_runs_are_written_side_by_side(
    run_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    goal = tmp_path / "compare.html"
    arguments = [str(run_dir), str(run_dir), "-o", str(goal)]
    assert CliRunner().invoke(command, arguments).output.strip() == str(goal)
    assert "side by side</h1>" in goal.read_text(encoding="utf-8") and opened == []
    CliRunner().invoke(command, [*arguments, "--open"])
    assert opened == [goal.as_uri()]


@pytest.mark.parametrize("more", [["-o", "x.html"], ["other"]])
def test_two_runs_need_both_a_second_run_and_a_file(run_dir: Path, more: list[str]) -> None:
    done = CliRunner().invoke(command, [str(run_dir), *more])
    assert done.exit_code == 2 and "-o FILE" in done.output

"""The runs below a folder, as lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgekd import run_folder
from edgekd.report import run_list
from edgekd.report.result import Result
from tests import report_example


def put(folder: Path, **other: object) -> Result:
    """A finished run in `folder`."""
    made = report_example.result().model_copy(update=other)
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(made.model_dump_json())
    return made


def test_runs_are_found_oldest_first_and_strangers_passed_by(tmp_path: Path) -> None:
    put(tmp_path / "b", date="2026-01-02T00:00:00Z")
    put(tmp_path / "deep" / "er" / "a", date="2026-01-01T00:00:00Z")
    put(tmp_path / "b" / "nothing-chosen", date="2026-01-03T00:00:00Z", chosen=None)
    put(tmp_path / "b" / "bundle")  # not a run of its own
    put(tmp_path / "1" / "2" / "3" / "too-deep")
    put(tmp_path / ".hidden")
    (tmp_path / "link").symlink_to(tmp_path / "b")
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / run_folder.UNFINISHED).write_text("[]")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "result.json").write_text("{")
    (tmp_path / "mine").mkdir()
    found = run_list.list_runs(tmp_path)
    assert [(run.folder.relative_to(tmp_path).as_posix(), run.state) for run in found] == [
        ("deep/er/a", "finished"),
        ("b", "finished"),
        ("b/nothing-chosen", "finished"),
        ("broken", "unreadable"),
        ("unfinished", "unfinished"),
    ]
    assert "got no JSON" in found[3].problem
    assert [run.folder for run in run_list.list_runs(tmp_path / "b")] == [
        tmp_path / "b",
        tmp_path / "b" / "nothing-chosen",
    ]
    assert run_list.list_runs(tmp_path / "mine") == []


def test_a_line_says_what_was_chosen_and_its_score(tmp_path: Path) -> None:
    made = put(tmp_path / "a")
    run = run_list.describe_run(tmp_path / "a")
    chosen = next(row for row in made.candidates if row.name == made.chosen)
    assert (run.name, run.chosen, run.score) == (made.recipe, made.chosen, chosen.score)
    assert run.score_text == f"{100 * (chosen.score or 0):.2f} %"
    put(tmp_path / "b", chosen=None)
    assert run_list.describe_run(tmp_path / "b").score == made.student.score


@pytest.mark.parametrize(
    ("verdicts", "want"),
    [
        ([], "none"),
        (["met", "met"], "kept"),
        (["met", "open"], "open"),
        (["missed", "open"], "missed"),
        (["met", "not measured"], "missed"),
    ],
)
def test_the_budget_in_a_word(verdicts: list[str], want: str) -> None:
    lines = [{"limit": "size_bytes", "want": 1, "got": 1, "verdict": word} for word in verdicts]
    value = json.loads(report_example.result().model_dump_json()) | {"budget": lines}
    assert run_list.judge_budget(Result.model_validate_json(json.dumps(value))) == want

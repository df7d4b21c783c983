from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgekd import cli
from edgekd import pipeline
from edgekd.errors import BudgetMissed
from edgekd.errors import Inconclusive
from edgekd.errors import InputError
from tests.sweep.test_runner import QUICKSTART
from tests.sweep.test_runner import FakeRuns


def swept(folder: Path, monkeypatch: pytest.MonkeyPatch, budget: str, *more: str) -> Any:
    monkeypatch.setattr(pipeline, "compress", FakeRuns())
    places = ["--sweep-dir", str(folder / "s"), "--store", str(folder / "store")]
    over = ["--over", "student.model.base=4,8", "--set", f"budget={budget}"]
    arguments = ["-q", "sweep", str(QUICKSTART), *places, *over, *more]
    return CliRunner().invoke(cli.main, arguments)


def test_the_frontier_is_printed_with_the_winner(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = swept(tmp_path, monkeypatch, "{latency_p50_ms: 5}", "--over", "student_seed=0..2")
    assert done.exit_code == 0, done.output
    assert "base=8, winner" in " ".join(done.output.split())
    assert "2 of 2 settings done; 2 on the frontier" in done.output
    assert "test accuracy of the winner: 92.66 %, the mean of 3 runs" in done.output
    assert f"edgekd compress {tmp_path / 's' / 'winner.yaml'}" in done.output


def test_json_is_what_the_folder_has(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done = swept(tmp_path, monkeypatch, "{}", "--json")
    assert json.loads(done.stdout) == json.loads((tmp_path / "s" / "sweep.json").read_bytes())


@pytest.mark.parametrize(
    ("budget", "failure"),
    [("{latency_p50_ms: 0.5}", BudgetMissed), ("{latency_p50_ms: 1.001}", Inconclusive)],
)
def test_nothing_inside_the_budget_is_a_verdict(
    budget: str, failure: type[Exception], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = swept(tmp_path, monkeypatch, budget)
    assert isinstance(done.exception, failure) and "none of 2 settings" in str(done.exception)
    assert "2 of 2 settings done" in done.output


def test_no_key_is_an_error_with_an_example(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli.main, ["sweep", str(QUICKSTART)])
    assert isinstance(done.exception, InputError) and "--over" in done.exception.hint

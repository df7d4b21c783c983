"""A sweep whose runs are made up: what the settings and seeds come to, and what is left in the folder."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any

import pytest

from edgekd import code
from edgekd import files
from edgekd import pipeline
from edgekd import recipe as recipes
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.progress import Silent
from edgekd.run import Options
from edgekd.sweep import runner
from edgekd.sweep import space as spaces
from edgekd.sweep.document import SweepDocument
from tests import report_example

QUICKSTART = Path(__file__).parents[2] / "pipelines" / "quickstart.yaml"
OVER = ("student.model.base=4,8,16", "student_seed=0,1")


class FakeRuns:
    """Stands for `pipeline.compress`: a wider student is better and slower, a later seed luckier."""

    def __init__(self, **failing: Exception) -> None:
        self.calls: list[tuple[int, int]] = []
        self.failing: dict[int, BaseException] = {int(k[1:]): v for k, v in failing.items()}

    def __call__(self, recipe: Any, path: Path, options: Options, progress: Any) -> Any:
        base, seed = recipe.student.model.arguments["base"], recipe.student_seed
        self.calls.append((base, seed))
        if base in self.failing:
            raise self.failing[base]
        rows = report_example.rows()
        for row in rows:
            if row["name"] == "onnxruntime-fp32-2t":
                ms = base / 4
                row |= {
                    "validation_score": 0.80 + base / 100 + seed / 1000,
                    "latency_p50_ms": ms,
                    "latency_ci95_ms": [ms * 0.99, ms * 1.01],
                }
        files.make_folder(options.run_dir)
        value = report_example.result(rows=rows).model_dump(mode="json")
        (options.run_dir / "result.json").write_bytes(files.pretty_json(value))
        return types.SimpleNamespace(run_dir=options.run_dir, missed="")


def sweep(
    folder: Path, over: tuple[str, ...] = OVER, budget: str = "{}", **other: Any
) -> SweepDocument:
    options = Options(run_dir=folder / "s", store=folder / "store")
    request = runner.SweepRequest(
        QUICKSTART, (f"budget={budget}",), spaces.parse_space(over), options, **other
    )
    return runner.run_sweep(request, Silent())


def faked(monkeypatch: pytest.MonkeyPatch, **failing: Exception) -> FakeRuns:
    runs = FakeRuns(**failing)
    monkeypatch.setattr(pipeline, "compress", runs)
    return runs


def test_the_winner_keeps_the_budget_and_has_the_first_seed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = faked(monkeypatch)
    found = sweep(tmp_path, budget="{latency_p50_ms: 3}")
    assert sorted(runs.calls) == [(base, seed) for base in (4, 8, 16) for seed in (0, 1)]
    winner = found.winner_outcome
    assert winner is not None and winner.setting == {"student.model.base": "8"}
    assert winner.row.validation_score == pytest.approx(0.8805)
    assert len(found.frontier) == 3 and found.winner in found.frontier
    folder = tmp_path / "s"
    written = recipes.load(folder / "winner.yaml")
    assert written.student.model.arguments["base"] == 8 and written.student_seed == 0
    assert json.loads((folder / "sweep.json").read_bytes())["winner"] == found.winner
    assert "base=8 (winner)" in (folder / "frontier.html").read_text()
    assert all((folder / run / "result.json").is_file() for run in winner.runs)


def test_nothing_inside_the_budget_has_no_winner_and_leaves_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    faked(monkeypatch)
    found = sweep(tmp_path, budget="{latency_p50_ms: 0.5}")
    assert found.winner is None and len(found.settings) == 3
    assert not (tmp_path / "s" / "winner.yaml").exists()


def test_a_failing_setting_stops_no_other_and_all_failing_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = faked(monkeypatch, b8=InputError("data: got none, want some"))
    found = sweep(tmp_path)
    assert len(found.settings) == 2 and found.failures[0].error == "data: got none, want some"
    runs.failing = {}
    assert len(sweep(tmp_path).settings) == 3  # the user has mended it
    faked(monkeypatch, b4=InputError("x"), b8=InputError("x"), b16=InputError("x"))
    with pytest.raises(InputError, match="all 3 settings failed; base="):
        sweep(tmp_path / "other")


@pytest.mark.parametrize("error", [MachineError("the disk is full"), ZeroDivisionError()])
def test_what_is_not_the_users_error_stops_the_sweep(
    error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(code, "_loaded", {})  # other tests name functions of `tests` as a user's
    faked(monkeypatch, b8=error)
    with pytest.raises(type(error)):
        sweep(tmp_path)


def test_what_is_done_is_not_run_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    runs = faked(monkeypatch)
    runs.failing = {16: KeyboardInterrupt()}
    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path)
    assert len(runs.calls) == 5
    runs.calls, runs.failing = [], {}
    found = sweep(tmp_path)
    assert runs.calls == [(16, 0), (16, 1)] and len(found.settings) == 3


def test_a_folder_of_another_sweep_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    faked(monkeypatch)
    sweep(tmp_path)
    with pytest.raises(InputError, match="holds another sweep"):
        sweep(tmp_path, ("student.model.base=4,5",))
    (tmp_path / "x" / "s").mkdir(parents=True)
    (tmp_path / "x" / "s" / "winner.yaml").write_text("mine")
    with pytest.raises(InputError, match="winner.yaml: is not what a sweep"):
        sweep(tmp_path / "x")


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ("student.model.bas=4,5", "bas"),
        ("student.model.base=4,x", "base"),
        ("student.train.learning_rate=-1..0.1", "learning_rate"),
        ("student_seed=0,-1", "student_seed"),
    ],
)
def test_a_wrong_key_or_value_is_one_line_before_anything_runs(
    over: str, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    runs = faked(monkeypatch)
    with pytest.raises(InputError, match=f"--over: .*{message}"):
        sweep(tmp_path, (over,))
    assert not runs.calls and not (tmp_path / "s").exists()

from __future__ import annotations

import json
import re
import types
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from click.testing import Result

import edgekd
from edgekd import cli
from edgekd.errors import BudgetMissed
from edgekd.errors import Inconclusive
from edgekd.estimate import PlanCost
from edgekd.estimate import StepCost
from edgekd.progress import Silent
from tests import report_example

ROOT = Path(__file__).parents[2]
QUICKSTART = str(ROOT / "pipelines" / "quickstart.yaml")
RESULT = json.loads(report_example.result().model_dump_json())


def step(label: str) -> types.SimpleNamespace:
    origin = (lambda: {"digits.csv.gz": "0" * 64}) if label == "data" else None
    return types.SimpleNamespace(label=label, origin=origin)


class FakePipeline(types.SimpleNamespace):
    """Stands for `edgekd.pipeline`: remembers how it was called."""

    missed = False
    costs: tuple[StepCost, ...] = (StepCost("teacher", 65.0, 2000), StepCost("distil", None, None))
    verdicts: tuple[str, ...] = ()

    def compress(self, recipe: Any, path: Path, options: Any, progress: Any) -> Any:
        self.called = (recipe, path, options, progress)
        options.run_dir.mkdir(exist_ok=True)
        (options.run_dir / "result.json").write_text(json.dumps(RESULT))
        missed = "budget: nothing is fast enough" if self.missed else ""
        steps = (("data", True, 0.1), ("x", False, 2.0))
        return types.SimpleNamespace(
            result={**RESULT, "budget": [{"verdict": verdict} for verdict in self.verdicts]}
            if self.verdicts
            else RESULT,
            run_dir=options.run_dir,
            steps=steps,
            missed=missed,
        )

    def find_run_dir(self, recipe: Any, options: Any) -> Path:
        self.asked = options
        return options.run_dir

    def list_downloads(self, recipe: Any, options: Any) -> tuple[str, ...]:
        return ("https://a.b/c.gz",) if options.allow_download else ()

    def estimate_plan(self, foreseen: Any, options: Any) -> PlanCost:
        return PlanCost(self.costs)

    def preview_plan(self, recipe: Any, path: Path, options: Any) -> Any:
        foreseen = types.SimpleNamespace
        return [
            foreseen(step=step("data"), key="a" * 64, hit=True),
            foreseen(step=step("teacher"), key="b" * 64, hit=False),
            foreseen(step=step("distil"), key=None, hit=False),
        ]


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakePipeline:
    fake = FakePipeline()
    monkeypatch.setattr(edgekd, "pipeline", fake, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEKD_HOME", str(tmp_path / "home"))
    return fake


def compress(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["compress", QUICKSTART, *arguments])


def test_every_option_reaches_the_pipeline(pipeline: FakePipeline, tmp_path: Path) -> None:
    done = compress(
        *("--run-dir", "r", "--store", "s", "--data-dir", "d", "--allow-code"),
        *("--allow-download", "--no-wait", "--set", "seed=7", "-q"),
    )
    assert done.exit_code == 0, done.output
    recipe, path, options, progress = pipeline.called
    assert recipe.seed == 7 and path == Path(QUICKSTART)
    assert (options.run_dir, options.store, options.data_dir) == (Path("r"), Path("s"), Path("d"))
    assert options.allow_code and options.allow_download and not options.wait
    assert isinstance(progress, Silent) and done.stderr == ""


def test_defaults(pipeline: FakePipeline, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    assert compress().exit_code == 0
    options = pipeline.called[2]
    assert options.run_dir == Path("runs/quickstart") and options.store == tmp_path / "home"
    assert not options.allow_code and not options.allow_download and options.wait


def test_the_result_in_words(pipeline: FakePipeline) -> None:
    done = compress("--run-dir", "r")
    assert done.stdout.startswith("teacher  93.36 %  272 k parameters\n")
    assert "\nchosen   92.66 %  onnxruntime-fp32-2t: 0.098 ms, 340 kB\n" in done.stdout
    assert done.stdout.splitlines()[-1] == "        edgekd bundle r -o r.edgekd"
    assert done.stderr == "1 of 2 steps found in the store\n"


def test_the_result_as_json(pipeline: FakePipeline) -> None:
    assert json.loads(compress("--run-dir", "r", "--json").stdout) == RESULT


def test_a_missed_budget_still_prints_its_result(pipeline: FakePipeline) -> None:
    pipeline.missed = True
    done = compress("--run-dir", "r", "--json")
    assert isinstance(done.exception, BudgetMissed) and json.loads(done.stdout) == RESULT


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (("met", "open"), 5),
        (("open",), 5),
        (("met", "missed"), 1),
        (("missed", "open"), 1),
        (("open", "not measured"), 1),
        (("met", "met"), 1),
    ],
)
def test_a_limit_that_only_an_interval_misses_is_inconclusive(
    pipeline: FakePipeline, verdicts: tuple[str, ...], code: int
) -> None:
    pipeline.missed, pipeline.verdicts = True, verdicts
    failure = compress("--run-dir", "r", "--json").exception
    assert isinstance(failure, Inconclusive if code == 5 else BudgetMissed)
    assert failure.exit_code == code


def test_another_folder_may_be_taken_where_none_is_asked_for(
    pipeline: FakePipeline, tmp_path: Path
) -> None:
    for arguments, want in (
        ([], (True, False)),
        (["--run-dir", str(tmp_path / "own")], (False, False)),
        (["--replace"], (True, True)),
    ):
        assert compress("--dry-run", *arguments).exit_code == 0
        assert (pipeline.asked.may_move, pipeline.asked.replace) == want


def test_the_plan_in_words_and_as_json(pipeline: FakePipeline, tmp_path: Path) -> None:
    done = compress("--dry-run")
    assert done.stdout.splitlines() == [
        "1 step found in the store",
        "teacher  to run  about 1 min 05 s",
        "distil   to run  time not known",
        "time: about 1 min 05 s, disk: about 2 kB, by like steps that were made with this",
        "store; not known: distil",
        "answers of teacher: stored, 30 a sample; live: 60 a sample",
        f"reads: {QUICKSTART}, digits (files: 1)",
        f"writes: {tmp_path / 'home'}, runs/quickstart",
        "downloads: nothing",
        "runs code of yours: nothing",
    ]
    assert list(tmp_path.iterdir()) == []
    left_open = compress(
        "--dry-run", "--set", "learn.0.losses=[dkd, {name: dkd, weight: 1}]"
    ).stdout
    (told,) = re.findall(r"^learn.*weight [^%]*%", left_open, re.MULTILINE)
    assert " ".join(told.split()).startswith("learn.0.losses.0 (dkd): weight 1 for 100 classes and")
    (tmp_path / "own_of_plan.py").write_text("raise SystemExit")
    own = ("--set", "student.model=python:own_of_plan:b", "--allow-code", "--allow-download")
    plan = json.loads(compress("--dry-run", "--json", *own).stdout)
    none = {"time_s": None, "disk_bytes": None}
    assert plan["steps"][0] == {"step": "data", "key": "a" * 64, "found": True, **none}
    assert plan["steps"][1]["time_s"] == 65.0
    assert plan["estimate"] == {"time_s": 65.0, "disk_bytes": 2000, "unknown": ["distil"]}
    assert plan["runs code of yours"] == ["python:own_of_plan:b"]
    assert plan["reads"] == [QUICKSTART, "python:own_of_plan:b (files: 1)"]
    assert plan["downloads"] == ["https://a.b/c.gz"]


def test_trackers_receive_the_events_of_the_run(
    pipeline: FakePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[str] = []
    heard: list[Any] = []

    def open_trackers(track: Any, warn: Any) -> list[Any]:
        wanted.extend(track)
        return [heard.append]

    monkeypatch.setattr("edgekd.trackers.open_trackers", open_trackers)
    done = compress(
        "--run-dir", "r", "--track", "mlflow:http://a.b:5000", "--track", "tensorboard", "-q"
    )
    assert done.exit_code == 0, done.output
    pipeline.called[3].event("an event")
    assert wanted == ["mlflow:http://a.b:5000", "tensorboard"] and heard == ["an event"]

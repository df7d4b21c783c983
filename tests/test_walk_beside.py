"""A run with a second process: the same bytes, the same refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekd import pipeline
from edgekd import recipe as recipes
from edgekd import side_process
from edgekd import walk_beside
from edgekd.bindings import find_bindings
from edgekd.errors import InputError
from edgekd.plan import side_steps
from edgekd.progress import CallbackProgress
from edgekd.progress import EpochEnd
from edgekd.progress import Event
from edgekd.progress import Silent
from edgekd.run import Options
from edgekd.side_process import SideProcess
from edgekd.side_process import SideProcessFailed
from edgekd.stage import Stage
from edgekd.stage import Step
from edgekd.walk import Walker
from edgekd.walk import open_store
from tests.test_side_worker import PLAN
from tests.test_side_worker import Nothing
from tests.walk_example import HERE

QUICKSTART = Path(__file__).parents[1] / "pipelines" / "quickstart.yaml"
SHORT = (
    "teacher.model.base=4",
    "teacher.train.epochs=8",
    "student.train.epochs=12",
    "views.count=2",
    "targets=[{runtime: onnxruntime, precision: [fp32]}]",
)
SIDE = ("check", "control", "export-student", "export-teacher")


class Absent(SideProcess):
    """Is not there."""

    def start(self) -> None:
        pass


def walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, todo: tuple[Step, ...]) -> Walker:
    options = Options(run_dir=tmp_path / "run", store=tmp_path / "store", side_process=True)
    monkeypatch.setattr(side_process, "may_start", lambda: True)
    monkeypatch.setattr(side_steps, "list_side_steps", lambda todo: SIDE)
    monkeypatch.setattr(walk_beside, "write_order", lambda *_: {})
    with open_store(options) as store:
        walker = Walker(store, options, Silent(), HERE)
        walk_beside.walk_with_side_process(None, Path(), todo, options, walker)  # type: ignore[arg-type]
    return walker


def test_what_the_second_process_does_not_make_is_made_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk_beside, "SideProcess", Absent)
    walker = walked(tmp_path, monkeypatch, PLAN)
    labels = [result.step.label for result in walker.walked]
    assert labels == ["data", "teacher", "distil", *SIDE]


class Broken(Exception):
    pass


def broken(*_: Any) -> Any:
    raise InputError("the rehearsal tells it better")


def failing(*_: Any) -> Any:
    raise Broken


def replaced(label: str, run: Any) -> tuple[Step, ...]:
    return tuple(
        step._replace(stage=Stage("toy", Nothing, run)) if step.label == label else step
        for step in PLAN
    )


def test_a_training_that_fails_is_explained_by_the_rehearsal_if_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk_beside, "SideProcess", Absent)
    both = tuple(
        step._replace(stage=Stage("toy", Nothing, broken)) if step.label == "check" else step
        for step in replaced("teacher", failing)
    )
    with pytest.raises(InputError, match="tells it better"):
        walked(tmp_path / "both", monkeypatch, both)
    with pytest.raises(Broken):
        walked(tmp_path / "one", monkeypatch, replaced("teacher", failing))


def test_what_fails_before_the_rehearsal_can_begin_tells_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk_beside, "SideProcess", Absent)
    with pytest.raises(Broken):
        walked(tmp_path, monkeypatch, replaced("data", failing))


def test_a_failed_second_process_leads_back_to_the_order_of_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = [1]

    def once(settings: Nothing, given: Any, context: Any) -> Any:
        if lost.pop() if lost else 0:
            raise SideProcessFailed
        return PLAN[0].stage.run(settings, given, context)

    monkeypatch.setattr(walk_beside, "SideProcess", Absent)
    walker = walked(tmp_path, monkeypatch, replaced("teacher", once))
    labels = [result.step.label for result in walker.walked]
    assert labels == [step.label for step in PLAN]


@pytest.mark.slow
def test_two_processes_make_the_bytes_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(side_process, "count_cores", lambda: 2)
    recipe = recipes.load(QUICKSTART, SHORT)
    made: list[dict[str, dict[str, str]]] = []
    for both in (False, True):
        options = Options(
            run_dir=tmp_path / "run", store=tmp_path / f"store-{both}", side_process=both
        )
        todo = pipeline.plan(recipe, QUICKSTART, options)
        todo = todo[: [step.label for step in todo].index("measure")]
        events: list[Event] = []
        with open_store(options) as store:
            walker = Walker(
                store, options, CallbackProgress(Silent(), (events.append,)), find_bindings(options)
            )
            walk_beside.walk_with_side_process(recipe, QUICKSTART, todo, options, walker)
        made.append(
            {
                label: {name: blob.sha256 for name, blob in entry.files.items()}
                for label, entry in walker.entries.items()
                if not label.startswith("compile")  # engine.json tells times
            }
        )
        assert not any(result.hit for result in walker.walked)
        epochs = [event for event in events if isinstance(event, EpochEnd)]
        assert [event.label for event in epochs].count("control") == 12
    assert made[0] == made[1]


@pytest.mark.slow
def test_a_recipe_that_the_rehearsal_refuses_is_refused_beside_the_training(
    tmp_path: Path,
) -> None:
    options = Options(run_dir=tmp_path / "run", store=tmp_path / "store", side_process=True)
    losses = "learn=[{step: distil, losses: [{name: kd, weight: 1.0e+9, temperature: 1.0e+300}]}]"
    recipe = recipes.load(QUICKSTART, (*SHORT, "teacher.train.epochs=500", losses))
    todo = pipeline.plan(recipe, QUICKSTART, options)
    with open_store(options) as store:
        walker = Walker(store, options, Silent(), find_bindings(options))
        with pytest.raises(InputError, match="distil: "):
            walk_beside.walk_with_side_process(recipe, QUICKSTART, todo, options, walker)
        assert "teacher" not in walker.entries

"""Which steps a second process may make: what is beside the way to the student, where a core is free."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekd import pipeline
from edgekd import recipe as recipes
from edgekd.plan.side_steps import list_side_steps
from edgekd.plan.side_steps import order_chain_first
from edgekd.run import Options
from edgekd.stage import Step

QUICKSTART = Path(__file__).parents[2] / "pipelines" / "quickstart.yaml"


def plan(tmp_path: Path, *overrides: str) -> tuple[Step, ...]:
    options = Options(run_dir=tmp_path / "run", store=tmp_path / "store")
    return pipeline.plan(recipes.load(QUICKSTART, overrides), QUICKSTART, options)


def test_what_does_not_lead_to_the_student_may_be_made_beside(tmp_path: Path) -> None:
    side = list_side_steps(plan(tmp_path))
    assert side[:4] == ("check", "control", "export-student", "export-teacher")
    assert {label.partition("-")[0] for label in side[4:]} == {"compile"}
    assert not {"data", "teacher", "knowledge", "distil", "measure", "evaluate"} & set(side)


@pytest.mark.parametrize(
    "change",
    [
        "student.train.threads=2",
        "teacher.train.precision=auto",
        "student.train.channels_last=auto",
    ],
)
def test_nothing_is_made_beside_what_is_timed_or_takes_more_cores(
    tmp_path: Path, change: str
) -> None:
    assert list_side_steps(plan(tmp_path, change)) == ()


def test_nothing_is_made_beside_a_step_that_asks_the_engine_for_times(tmp_path: Path) -> None:
    pruned = "learn=[{step: distil}, {step: prune, speedup: 2.0}]"
    todo = plan(tmp_path, pruned)
    assert "prune" in {step.stage.name for step in todo}
    assert list_side_steps(todo) == ()


def test_short_trainings_are_over_before_a_second_process_has_begun(tmp_path: Path) -> None:
    short = ("teacher.train.epochs=9", "student.train.epochs=10")
    assert list_side_steps(plan(tmp_path, *short)) == ()
    assert list_side_steps(plan(tmp_path, *short[:1], "student.train.epochs=11"))


def test_the_way_to_the_student_comes_first_and_no_step_before_its_inputs(tmp_path: Path) -> None:
    todo = plan(tmp_path)
    side = list_side_steps(todo)
    ordered = order_chain_first(todo, side)
    labels = [step.label for step in ordered]
    assert sorted(labels) == sorted(step.label for step in todo)
    assert labels.index("distil") < labels.index("check") < labels.index("measure")
    for number, step in enumerate(ordered):
        assert {label for label, _ in step.takes.values()} <= set(labels[:number]), step.label


def test_what_is_left_of_a_plan_needs_nothing_of_what_is_made(tmp_path: Path) -> None:
    todo = plan(tmp_path)
    assert todo[0].label == "data" and list_side_steps(todo[1:]) == list_side_steps(todo)
    for made in range(len(todo)):
        left = {step.label for step in todo[made:]}
        assert set(list_side_steps(todo[made:])) <= set(list_side_steps(todo)) & left

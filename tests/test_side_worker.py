"""What the second process makes, and in which order."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from edgekd import recipe as recipes
from edgekd import side_worker
from edgekd.progress import Silent
from edgekd.run import Options
from edgekd.settings import Settings
from edgekd.side_worker import make_steps
from edgekd.side_worker import read_order
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.stage import Step
from edgekd.walk import Walker
from edgekd.walk import open_store
from edgekd.walk_beside import write_order
from tests.walk_example import HERE

QUICKSTART = Path(__file__).parents[1] / "pipelines" / "quickstart.yaml"


class Nothing(Settings):
    name: str


def make(settings: Nothing, given: Given, context: Context) -> Made:
    context.progress.note(settings.name)
    (context.folder / "a").write_text(settings.name)
    return {"a": context.folder / "a"}


def step(label: str, *takes: str) -> Step:
    stage = Stage("toy", Nothing, make)
    return Step(label, stage, Nothing(name=label), {name: (name, "a") for name in takes})


PLAN = (
    step("data"),
    step("check", "data"),
    step("teacher", "data"),
    step("control", "data"),
    step("distil", "teacher"),
    step("export-student", "distil"),
    step("export-teacher", "teacher"),
)


def test_the_first_step_comes_first_and_then_the_last_that_can_be_made(tmp_path: Path) -> None:
    options = Options(run_dir=tmp_path / "run", store=tmp_path / "store")
    own = ("control", "check", "export-student", "export-teacher")
    lines: list[dict[str, Any]] = []
    with open_store(options) as store:
        first = Walker(store, options, Silent(), HERE)
        second = Walker(store, options, side_worker._Relay(lines.append), HERE)  # type: ignore[arg-type]
        worker = threading.Thread(target=make_steps, args=(second, PLAN, own, "check"))
        worker.start()
        for each in (PLAN[0], PLAN[2], PLAN[4]):
            first.run_step(each)
            if each.label == "data":
                while not any(line["label"] == "control" for line in lines):
                    pass
        worker.join()
        made = [line["label"] for line in lines if line["what"] == "begin"]
        assert made[0] == "check" and sorted(made) == sorted(own)
        assert {line["label"] for line in lines if line["what"] == "note"} == set(own)
        first.walk([each for each in PLAN if each.label in own])
        assert all(result.hit for result in first.walked[3:])


def test_an_order_gives_the_recipe_and_the_options_back(tmp_path: Path) -> None:
    recipe = recipes.load(QUICKSTART, ())
    options = Options(run_dir=tmp_path / "run", store=tmp_path, data_dir=tmp_path, allow_code=True)
    assert read_order(write_order(recipe, QUICKSTART, options)) == (recipe, options)

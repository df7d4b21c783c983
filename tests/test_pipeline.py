"""The main job with toy stages: what it puts into the run folder, and what it leaves alone there."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgekd import pipeline
from edgekd import run_folder
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.plan import settling
from edgekd.plan.deliverables import Deliverable
from edgekd.progress import CallbackProgress
from edgekd.progress import Event
from edgekd.progress import Progress
from edgekd.progress import RunEnd
from edgekd.progress import RunStart
from edgekd.progress import Silent
from edgekd.progress import StepEnd
from edgekd.run import Options
from edgekd.settings import Settings
from edgekd.stage import Bindings
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.stage import Step
from edgekd.store import Store


def toy(**keys: Any) -> Any:
    """A recipe as far as the main job looks into it."""
    return SimpleNamespace(name="toy", model_dump=lambda mode: {"name": "toy", **keys})


RECIPE = toy()


DELIVERED = {"models/student.onnx": Deliverable("choose", "choice.json", "ONNX")}
ALWAYS = {"result.json", "report.md", "recipe.yaml", "models/student.onnx"}


class Contents(Settings):
    """What a toy stage makes."""

    texts: dict[str, str]


ran: list[str] = []


def make(settings: Contents, given: Given, context: Context) -> Made:
    ran.append(",".join(settings.texts))
    made = {}
    for name, text in settings.texts.items():
        made[name] = context.folder / name.replace("/", "-")
        made[name].write_text(text)
    return made


def step(label: str, **texts: str) -> Step:
    named = {name.replace("__", "/").replace("_", "."): text for name, text in texts.items()}
    return Step(label, Stage(label, Contents, make), Contents(texts=named), {})


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    ran.clear()
    monkeypatch.setattr(pipeline, "find_bindings", lambda options: Bindings("", ""))
    settled = settling.SettledPlan
    monkeypatch.setattr(
        settling, "settle_plan", lambda recipe, path, todo, *_: settled(todo, recipe, recipe)
    )
    monkeypatch.setattr(pipeline.deliverables, "list_deliverables", lambda *_: DELIVERED)
    monkeypatch.setattr(pipeline.writing, "locate_weights", lambda *_: {})
    monkeypatch.setattr(pipeline.writing, "format_recipe", lambda recipe, _: "the recipe")
    return Options(run_dir=tmp_path / "run", store=tmp_path / "store", wait=False)


def compress(
    options: Options,
    monkeypatch: pytest.MonkeyPatch,
    chosen: str | None,
    model: str = "model",
    progress: Progress | None = None,
    recipe: Any = RECIPE,
    **extra: str,
) -> pipeline.FinishedRun:
    """A run that chooses `chosen`, ships `model` and says so in its report, which has the `extra` files."""
    choice = json.dumps({"chosen": chosen, "why": "too slow"})
    told = {
        **json.loads(choice),
        "resolved_recipe": recipe.model_dump("json"),
        "environment": {"device": options.device.name},
    }
    todo = (
        step("measure", rows_json='[{"name": "a"}]'),
        step("choose", choice_json=choice),
    )
    report = step("report", result_json=json.dumps(told), report_md=f"{chosen} {model}", **extra)
    bundle = step("bundle", bundle__model_onnx=model)
    monkeypatch.setattr(pipeline, "plan", lambda *_: todo)
    monkeypatch.setattr(
        pipeline.closing,
        "steps",
        lambda recipe, entries, row, overrides, more: (bundle, report) if row else (report,),
    )
    return pipeline.compress(recipe, Path("recipe.yaml"), options, progress or Silent())


def standing(options: Options) -> dict[str, str]:
    paths = (path for path in options.run_dir.rglob("*") if path.is_file())
    found = {path.relative_to(options.run_dir).as_posix(): path.read_text() for path in paths}
    return {name: text for name, text in found.items() if "edgekd-run" not in name}


def test_a_run_fills_its_folder(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    finished = compress(options, monkeypatch, "a")
    assert finished.run_dir == options.run_dir and finished.result["chosen"] == "a"
    assert set(standing(options)) == ALWAYS | {"bundle/model.onnx"}
    assert compress(options, monkeypatch, "a", "other").missed == ""
    assert standing(options)["bundle/model.onnx"] == "other"


def test_a_run_tells_its_callbacks_how_it_begins_and_ends(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = []
    compress(options, monkeypatch, "a", progress=CallbackProgress(Silent(), (events.append,)))
    start, end = events[0], events[-1]
    assert isinstance(start, RunStart) and isinstance(end, RunEnd)
    assert start.recipe["name"] == RECIPE.name and start.steps == ("measure", "choose")
    assert end.run_dir == options.run_dir and end.result is not None and end.error is None
    assert end.result["chosen"] == "a"
    steps = [e.label for e in events if isinstance(e, StepEnd)]
    assert steps == ["measure", "choose", "bundle", "report"]


def test_a_callback_that_raises_stops_the_run_and_the_others_hear_of_it(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(event: Event) -> None:
        if isinstance(event, StepEnd | RunEnd):
            raise ZeroDivisionError(type(event).__name__)

    events: list[Event] = []
    progress = CallbackProgress(Silent(), (events.append, refuse))
    with pytest.raises(ZeroDivisionError, match="StepEnd"):
        compress(options, monkeypatch, "a", progress=progress)
    end = events[-1]
    assert isinstance(end, RunEnd) and isinstance(end.error, ZeroDivisionError)
    assert end.result is None and not (options.run_dir / "result.json").exists()
    assert compress(options, monkeypatch, "a").steps[0][1]  # what was made is found


def test_a_run_that_chooses_nothing_leaves_the_one_that_stands(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    compress(options, monkeypatch, "a")
    before = standing(options)
    finished = compress(options, monkeypatch, None)
    assert finished.missed == "budget: too slow"
    assert finished.run_dir == options.run_dir / "nothing-chosen"
    after = standing(options)
    assert {name: after[name] for name in before} == before
    assert {n for n in after if n not in before} == {f"nothing-chosen/{name}" for name in ALWAYS}
    assert finished.result["chosen"] is None


def test_a_first_run_that_chooses_nothing_reports_where_any_does(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compress(options, monkeypatch, None).run_dir == options.run_dir
    assert set(standing(options)) == ALWAYS


def test_files_of_an_earlier_report_go(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    compress(options, monkeypatch, "a", extra_svg="a plot")
    (options.run_dir / "notes.txt").write_text("mine")
    assert standing(options)["extra.svg"] == "a plot"
    compress(options, monkeypatch, "a")
    assert set(standing(options)) == ALWAYS | {"bundle/model.onnx", "notes.txt"}
    compress(options, monkeypatch, None, extra_svg="a plot")
    assert "nothing-chosen/extra.svg" in standing(options)
    compress(options, monkeypatch, "a")
    assert set(standing(options)) == ALWAYS | {"bundle/model.onnx", "notes.txt"}
    assert not (options.run_dir / "nothing-chosen").exists()


def test_a_what_if_fills_a_folder_of_its_own(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(options, may_move=True)
    notes = Notes()
    compress(options, monkeypatch, "a")
    before = standing(options)
    for _ in range(2):
        moved = compress(options, monkeypatch, "a", "other", notes, toy(seed=1))
        assert moved.run_dir == options.run_dir.with_name("run-2")
    assert standing(options) == before
    assert compress(options, monkeypatch, "a", recipe=toy(seed=2)).run_dir.name == "run-3"
    assert compress(options, monkeypatch, "a", progress=notes).run_dir == options.run_dir
    assert standing(options) == before
    line = f"{options.run_dir} holds a run with another seed; this run fills {moved.run_dir}"
    assert notes.lines == [line, line]
    assert pipeline.find_run_dir(toy(seed=2), options).name == "run-3"


def test_a_folder_that_was_asked_for_keeps_the_run_that_it_holds(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    compress(options, monkeypatch, "a")
    before = standing(options)
    ran.clear()
    with pytest.raises(InputError, match=r"run: holds a run with another seed, and keeps it") as no:
        compress(options, monkeypatch, "a", "other", recipe=toy(seed=1))
    assert "--replace" in no.value.hint and "--run-dir" in no.value.hint
    with pytest.raises(InputError, match="another seed"):
        pipeline.find_run_dir(toy(seed=1), options)
    assert standing(options) == before and ran == []
    replaced = replace(options, replace=True)
    compress(replaced, monkeypatch, "a", "other", recipe=toy(seed=1))
    assert standing(options)["bundle/model.onnx"] == "other"


class Notes(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@pytest.mark.parametrize("name", ["report.md", "result.json", "bundle/model.onnx", "bundle/x"])
def test_what_is_not_a_run_s_is_seen_before_anything_runs(
    options: Options, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (options.run_dir / name).parent.mkdir(parents=True)
    (options.run_dir / name).write_text("mine")
    with pytest.raises(InputError, match=name):
        compress(options, monkeypatch, "a")
    assert standing(options) == {name: "mine"} and ran == []


@pytest.mark.parametrize("name", ["report.md", "result.json", "score_latency.png"])
@pytest.mark.parametrize("beside", [False, True])
def test_a_folder_in_a_file_s_place_is_seen_before_anything_runs(
    options: Options, monkeypatch: pytest.MonkeyPatch, name: str, beside: bool
) -> None:
    if beside:
        compress(options, monkeypatch, "a")
        name = f"nothing-chosen/{name}"
    (options.run_dir / name).mkdir(parents=True)
    ran.clear()
    with pytest.raises(InputError, match=f"{name}: is not what a run"):
        compress(options, monkeypatch, None)
    assert ran == []


def test_a_run_that_does_not_end_leaves_a_list_of_what_it_stands_on(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(pipeline, "_fill", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compress(options, patched, "a")
    keys = {entry.key for entry in Store(options.store).entries()}
    assert len(keys) == 4 and run_folder.unfinished_keys(options.run_dir) == keys
    compress(options, monkeypatch, "a")
    assert run_folder.unfinished_keys(options.run_dir) == set()


def foreseen(options: Options, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setattr(pipeline, "plan", lambda *_: (step("measure", rows_json="[]"),))
    monkeypatch.setattr(pipeline, "list_downloads", lambda *_: ())
    return pipeline.preview_plan(RECIPE, Path("recipe.yaml"), options)


def test_what_is_foreseen_is_written_nowhere(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [found.hit for found in foreseen(options, monkeypatch)] == [False]
    assert not options.run_dir.exists() and not options.store.exists()
    compress(options, monkeypatch, "a")
    assert len(foreseen(options, monkeypatch)) == 1  # what a run wrote is no stranger's


@pytest.mark.parametrize("which", ["run", "store"])
def test_what_a_run_would_refuse_is_foreseen(
    options: Options, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    root = options.run_dir.parent
    (root / which).mkdir()
    (root / which / "report.md").write_text("mine")
    with pytest.raises(InputError, match=f"{which}.*report.md"):
        foreseen(options, monkeypatch)
    (root / which / "report.md").unlink()
    with monkeypatch.context() as patched:  # root may write everywhere
        patched.setattr(os, "access", lambda path, mode: path != root / which)
        with pytest.raises(MachineError, match=f"{which}: got a folder that cannot be written"):
            foreseen(options, patched)
    (root / which).rmdir()
    (root / which).write_text("a file")
    with pytest.raises(MachineError, match=f"{which} is no folder"):
        foreseen(options, monkeypatch)
    inside = replace(options, run_dir=root / which / "a" / "b", store=root / which / "c")
    with pytest.raises(MachineError, match=f"{which} is no folder"):
        foreseen(inside, monkeypatch)
    assert ran == []


def test_a_folder_that_another_run_fills_is_refused(
    options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        run_folder.hold_run_folder(options.run_dir, wait=False),
        pytest.raises(MachineError, match="used by another run"),
    ):
        compress(options, monkeypatch, "a")
    assert ran == []


@pytest.mark.parametrize(
    ("rows", "choice", "says"),
    [
        ("[]", "\x00", "choose.*got no JSON"),
        ("[]", "[]", "choose.*no choice"),
        ("[]", '{"why": ""}', "choose.*no choice"),
        ("5", '{"chosen": "a", "why": ""}', "measure.*no rows"),
        ("[{}]", '{"chosen": "a", "why": ""}', "measure.*no rows"),
    ],
)
def test_a_stored_result_of_another_form_is_put_aside(
    options: Options, monkeypatch: pytest.MonkeyPatch, rows: str, choice: str, says: str
) -> None:
    todo = (step("measure", rows_json=rows), step("choose", choice_json=choice))
    monkeypatch.setattr(pipeline, "plan", lambda *_: todo)
    with pytest.raises(MachineError, match=says) as caught:
        pipeline.compress(RECIPE, Path("recipe.yaml"), options, Silent())
    assert "made anew" in caught.value.hint
    assert len(list((options.store / "quarantine").iterdir())) == 1

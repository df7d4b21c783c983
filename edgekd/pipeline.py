"""The main job: a recipe becomes a finished run folder."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd import follow
from edgekd import run_place
from edgekd.bench import size_choice
from edgekd.bindings import find_bindings
from edgekd.estimate import PlanCost
from edgekd.estimate import estimate_cost
from edgekd.learn.knowledge.choosing import LayerChoice
from edgekd.plan import closing
from edgekd.plan import deliverables
from edgekd.plan import pretrained_models
from edgekd.plan import rehearsal
from edgekd.plan import settling
from edgekd.plan import steps
from edgekd.plan.deliverables import Deliverable
from edgekd.plan.knowledge_cost import find_results
from edgekd.progress import Progress
from edgekd.progress import RunEnd
from edgekd.progress import RunStart
from edgekd.recipe import Recipe
from edgekd.recipe import writing
from edgekd.run import Options
from edgekd.run_folder import WITHOUT_BUNDLE
from edgekd.run_folder import RunFolder
from edgekd.run_folder import Source
from edgekd.run_place import RunSettings
from edgekd.stage import Step
from edgekd.stages import data
from edgekd.stages import open as open_stage
from edgekd.stages import report
from edgekd.store import Store
from edgekd.walk import StepForecast
from edgekd.walk import Walker
from edgekd.walk import forecast_steps
from edgekd.walk import open_store
from edgekd.walk_beside import walk_with_side_process

BUNDLE = "bundle/"
RECIPE = "recipe.yaml"


class FinishedRun(NamedTuple):
    """A finished run."""

    result: dict[str, Any]
    """What result.json says."""
    run_dir: Path
    """Where it lies."""
    steps: tuple[tuple[str, bool, float], ...]
    """Label, whether it was found in the store, seconds."""
    missed: str = ""
    """Which limit no candidate keeps, and by how much; empty if one was chosen."""


class Rehearsal(NamedTuple):
    """What was found before any training."""

    layers: dict[str, list[dict[str, Any]]]
    """By step of learning, the layers that its losses read."""
    choices: dict[str, LayerChoice]
    """Whether those of the teacher are stored, by the steps that may."""


def plan(recipe: Recipe, recipe_path: Path, options: Options) -> tuple[Step, ...]:
    """The steps up to the choice; checks what can be checked before anything runs.

    Raises:
        InputError: if the recipe and the files it names do not go together.
        MachineError: if this machine cannot carry it out.
    """
    return steps(recipe, recipe_path.resolve().parent, options)


def preview_plan(recipe: Recipe, recipe_path: Path, options: Options) -> list[StepForecast]:
    """Preview the plan and what the store already holds; writes, downloads and runs nothing, but opens files of weights.

    Raises:
        InputError: if the recipe, the data or what stands in the run folder or the store is not right.
        MachineError: if this machine cannot carry it out, or the run folder or the store cannot be written.
    """
    for folder in (options.run_dir, options.store):
        files.require_writable(folder)
    require_free(RunFolder(find_run_dir(recipe, options)))
    Store(options.store).require_store()
    todo = plan(recipe, recipe_path, replace(options, dry=True))
    if list_downloads(recipe, options):  # no key is known before
        foreseen = [StepForecast(step, None, False) for step in todo]
    else:
        foreseen = _forecast(recipe, recipe_path, todo, options)
    for each in foreseen:
        settings = each.step.settings
        if isinstance(settings, open_stage.OpenConfig) and not each.hit:
            weights = each.step.external["user_weights"]
            open_stage.check_weights(settings, weights, allow_code=options.allow_code)
    return foreseen


def _forecast(
    recipe: Recipe, recipe_path: Path, todo: tuple[Step, ...], options: Options
) -> list[StepForecast]:
    """What the store holds of a plan; where the rehearsal ran, of the plan that it settled."""
    store, bindings = Store(options.store), find_bindings(options)
    foreseen = list(forecast_steps(todo, store, bindings))
    choices = settling.read_choices(find_results(foreseen, store), store)
    if not choices:
        return foreseen
    todo = plan(settling.apply_choices(recipe, choices), recipe_path, replace(options, dry=True))
    return list(forecast_steps(todo, store, bindings))


def estimate_plan(foreseen: Sequence[StepForecast], options: Options) -> PlanCost:
    """Estimate what the steps that are not found may cost, by like steps that the store has."""
    todo = [each.step for each in foreseen if not each.hit]
    return estimate_cost(todo, Store(options.store).entries())


def find_run_dir(recipe: Recipe, options: Options) -> Path:
    """Return the folder that a run would fill: that of `options`, or one beside it where that holds another run.

    Raises:
        InputError: if it holds another run, and none beside it may be taken.
    """
    return run_place.find_run_folder(options, _run_settings(recipe, options))


def _run_settings(recipe: Recipe, options: Options) -> RunSettings:
    return RunSettings(recipe.model_dump(mode="json"), options.device.name)


def list_downloads(recipe: Recipe, options: Options) -> tuple[str, ...]:
    """List what a run would download; empty where that is not allowed."""
    if not options.allow_download:
        return ()
    models = pretrained_models.list_downloads(recipe)
    return (*data.list_downloads(recipe.data, options.data_dir), *models)


def rehearse(recipe: Recipe, recipe_path: Path, options: Options, progress: Progress) -> Rehearsal:
    """Carry a recipe out until one step of all its learning was tried, and train nothing.

    Raises:
        EdgekdError: as the stages do.
    """
    options = dataclasses.replace(options, progress=progress)
    todo = plan(recipe, recipe_path, options)
    last = [step.label for step in todo].index(rehearsal.LABEL)
    with open_store(options) as store:
        walker = Walker(store, options, progress, find_bindings(options))
        walker.walk(todo[: last + 1])
        found = dict(json.loads(walker.path(rehearsal.LABEL, "plan.json").read_bytes()))
        return Rehearsal(found, settling.read_choices(walker.entries, store))


def compress(
    recipe: Recipe, recipe_path: Path, options: Options, progress: Progress
) -> FinishedRun:
    """Carry a recipe out and fill the run folder: result, report, plots, bundle.

    A run that chooses nothing leaves a bundle that stands there alone, with the report that belongs to
    it: its own files go to the folder `WITHOUT_BUNDLE` beside them.

    Under a launcher rank 0 does all that; the others take part in what is learned, and get the same.

    Raises:
        InputError: if what stands in the run folder is not a run's.
        EdgekdError: as the stages do.
        Exception: what a callback behind `progress` raises.
    """

    def work(options: Options) -> dict[str, Any]:
        finished = _compress_alone(recipe, recipe_path, options, progress)
        return {**finished._asdict(), "run_dir": str(finished.run_dir)}

    made = follow.run_with_others(options, work)
    made |= {"run_dir": Path(made["run_dir"]), "steps": tuple(map(tuple, made["steps"]))}
    return FinishedRun(**made)


def _compress_alone(
    recipe: Recipe, recipe_path: Path, options: Options, progress: Progress
) -> FinishedRun:
    options = dataclasses.replace(options, progress=progress)
    todo = plan(recipe, recipe_path, options)
    follow.require_even_batches(todo)
    labels = tuple(step.label for step in todo)

    def waiting(folder: Path, holder: str) -> None:
        progress.note(f"waiting for another run in {folder} ({holder})")

    settings = _run_settings(recipe, options)
    with run_place.hold_free_folder(options, settings, waiting=waiting) as folder:
        if folder.root != options.run_dir:
            held = run_place.describe_held_run(options.run_dir, settings)
            progress.note(f"{options.run_dir} {held.sentence}; this run fills {folder.root}")
        try:
            progress.event(RunStart(folder.root, settings.recipe, labels))
            finished = _carry_out(recipe, recipe_path, todo, options, progress, folder)
        except BaseException as error:
            with contextlib.suppress(Exception):  # the failure counts, not a callback's
                progress.event(RunEnd(folder.root, None, error))
            raise
    progress.event(RunEnd(finished.run_dir, finished.result))
    return finished


def _carry_out(
    recipe: Recipe,
    recipe_path: Path,
    todo: tuple[Step, ...],
    options: Options,
    progress: Progress,
    folder: RunFolder,
) -> FinishedRun:
    """Walk the plan in a run folder that no other run has, and fill it."""
    require_free(folder)  # before hours of work, not after
    with open_store(options) as store:
        walker = Walker(store, options, progress, find_bindings(options), folder.begin)
        place = recipe_path.resolve().parent
        settled = settling.settle_plan(recipe, place, todo, options, walker)
        recipe = settled.recipe
        walk_with_side_process(settled.planned, recipe_path, settled.left, options, walker)
        choice = _choice(walker)
        rows = _rows(walker)
        chosen = rows.get(choice["chosen"])
        more = size_choice.list_more_profiles(choice, rows)
        walker.walk(closing.steps(recipe, walker.entries, chosen, options.overrides, more))
        delivered = deliverables.list_deliverables(recipe, walker.entries, chosen)
        run_dir = _fill(folder, walker, delivered, recipe, recipe_path)
        result = settling.read_result(walker, "report", "result.json")
        folder.end()
    done = tuple((w.step.label, w.hit, w.took_s) for w in walker.walked)
    missed = f"budget: {choice['why']}" if choice["chosen"] is None else ""
    return FinishedRun(result, run_dir, done, missed)


def require_free(folder: RunFolder) -> None:
    """Raises InputError if something that is not a run's stands where every run puts its own."""
    names = (*report.ALWAYS, RECIPE, *deliverables.NAMES)
    beside = (f"{WITHOUT_BUNDLE}/{name}" for name in names) if folder.has("bundle") else ()
    folder.require_ours(*names, *beside, folders=("bundle",))


def _choice(walker: Walker) -> dict[str, Any]:
    found = settling.read_result(walker, "choose", "choice.json")
    if not isinstance(found, dict) or not {"chosen", "why"} <= set(found):
        walker.reject("choose", "holds no choice")
    return found


def _rows(walker: Walker) -> dict[str | None, dict[str, Any]]:
    rows = settling.read_result(walker, "measure", "rows.json")
    if not isinstance(rows, list) or not all(isinstance(r, dict) and "name" in r for r in rows):
        walker.reject("measure", "holds no rows")
    return {row["name"]: row for row in rows}


def _fill(
    folder: RunFolder,
    walker: Walker,
    delivered: Mapping[str, Deliverable],
    recipe: Recipe,
    recipe_path: Path,
) -> Path:
    """Put all that a run gives where the user looks for it; gives the folder it is in."""
    bundle = walker.entries.get("bundle")
    inside = WITHOUT_BUNDLE if bundle is None and folder.has("bundle") else ""
    run_dir = folder.root / inside
    weights = writing.locate_weights(recipe, recipe_path, run_dir)
    wanted: dict[str, Source] = {
        name: walker.path("report", name) for name in walker.entries["report"].files
    }
    wanted |= {name: walker.path(each.label, each.file) for name, each in delivered.items()}
    wanted[RECIPE] = writing.format_recipe(recipe, weights).encode()
    whole = {} if bundle is None else {BUNDLE.rstrip("/"): _bundle_files(walker)}
    folder.fill(wanted, whole, inside=inside)
    return run_dir


def _bundle_files(walker: Walker) -> dict[str, Path]:
    names = walker.entries["bundle"].files
    return {name.removeprefix(BUNDLE): walker.path("bundle", name) for name in names}

"""The main job: a recipe becomes a finished run folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.devices import local
from edgekd.plan import closing
from edgekd.plan import rehearsal
from edgekd.plan import steps
from edgekd.progress import Progress
from edgekd.recipe import Recipe
from edgekd.run import Options
from edgekd.stage import Bindings
from edgekd.stage import Step
from edgekd.stages import data
from edgekd.store import Store
from edgekd.walk import Foreseen
from edgekd.walk import Walker
from edgekd.walk import foresee
from edgekd.walk import opened

BUNDLE = "bundle/"


class Finished(NamedTuple):
    """A run that went to its end."""

    result: dict[str, Any]
    """What result.json says."""
    run_dir: Path
    steps: tuple[tuple[str, bool, float], ...]
    """Label, whether it was found in the store, seconds."""
    missed: str = ""
    """Which limit no candidate keeps, and by how much; empty if one was chosen."""


def plan(recipe: Recipe, recipe_path: Path, options: Options) -> tuple[Step, ...]:
    """The steps up to the choice; checks what can be checked before anything runs.

    Raises:
        InputError: if the recipe and the files it names do not go together.
        MachineError: if this machine cannot carry it out.
    """
    return steps(recipe, recipe_path.resolve().parent, options)


def foreseen(recipe: Recipe, recipe_path: Path, options: Options) -> list[Foreseen]:
    """The plan with what the store already holds; writes, downloads and runs nothing."""
    todo = plan(recipe, recipe_path, replace(options, dry=True))
    if to_fetch(recipe, options):  # no key is known before
        return [Foreseen(step, None, False) for step in todo]
    return list(foresee(todo, Store(options.store), _bindings(options)))


def to_fetch(recipe: Recipe, options: Options) -> tuple[str, ...]:
    """What a run would download; nothing where that is not allowed."""
    return data.remote(recipe.data, options.data_dir) if options.allow_download else ()


def checked(
    recipe: Recipe, recipe_path: Path, options: Options, progress: Progress
) -> dict[str, list[dict[str, Any]]]:
    """Carry a recipe out until one step of all its learning was tried, and train nothing.

    Returns:
        By step of learning, the layers that its losses read.

    Raises:
        EdgekdError: as the stages do.
    """
    todo = plan(recipe, recipe_path, options)
    last = [step.label for step in todo].index(rehearsal.LABEL)
    with opened(options) as store:
        walker = Walker(store, options, progress, _bindings(options))
        walker.walk(todo[: last + 1])
        found: dict[str, list[dict[str, Any]]] = json.loads(
            walker.path(rehearsal.LABEL, "plan.json").read_bytes()
        )
    return found


def compress(recipe: Recipe, recipe_path: Path, options: Options, progress: Progress) -> Finished:
    """Carry a recipe out and fill the run folder: result, report, plots, bundle.

    Raises:
        EdgekdError: as the stages do.
    """
    todo = plan(recipe, recipe_path, options)
    files.sweep_temporaries(files.make_folder(options.run_dir))
    with opened(options) as store:
        walker = Walker(store, options, progress, _bindings(options))
        walker.walk(todo)
        choice = json.loads(walker.path("choose", "choice.json").read_bytes())
        walker.walk(closing.steps(recipe, walker.entries, _chosen_row(choice, walker)))
        _fill(options.run_dir, walker)
    result = json.loads((options.run_dir / "result.json").read_bytes())
    done = tuple((w.step.label, w.hit, w.took_s) for w in walker.walked)
    missed = f"budget: {choice['why']}" if choice["chosen"] is None else ""
    return Finished(result, options.run_dir, done, missed)


def _chosen_row(choice: dict[str, Any], walker: Walker) -> dict[str, Any] | None:
    rows = json.loads(walker.path("measure", "rows.json").read_bytes())
    return next((row for row in rows if row["name"] == choice["chosen"]), None)


def _fill(run_dir: Path, walker: Walker) -> None:
    """Put report and bundle where the user looks for them; what is there already stays."""
    report = walker.entries["report"]
    for name in report.files:
        _place(walker.path("report", name), run_dir / name)
    bundle = walker.entries.get("bundle")
    if bundle is None:
        files.remove(run_dir / "bundle")
        return
    wanted = {name.removeprefix(BUNDLE): walker.path("bundle", name) for name in bundle.files}
    if not _same(run_dir / "bundle", wanted):
        files.replace_folder(run_dir / "bundle", lambda fresh: _copy(wanted, fresh))


def _place(source: Path, goal: Path) -> None:
    if not (goal.is_file() and goal.read_bytes() == source.read_bytes()):
        files.write_through(goal, lambda temporary: shutil.copyfile(source, temporary))


def _same(folder: Path, wanted: dict[str, Path]) -> bool:
    if not folder.is_dir() or {p.name for p in folder.iterdir()} != set(wanted):
        return False
    return all(
        (folder / name).is_file() and (folder / name).read_bytes() == source.read_bytes()
        for name, source in wanted.items()
    )


def _copy(wanted: dict[str, Path], folder: Path) -> None:
    for name, source in wanted.items():
        shutil.copyfile(source, folder / name)


def _bindings(options: Options) -> Bindings:
    """The two machines of a run; asks the device what it is."""
    from edgekd.bench.machine import fingerprint
    from edgekd.bench.machine import site

    if options.device is local.DEVICE:
        return Bindings(fingerprint.key(), fingerprint.key())
    told = site.describe(options.device)
    return Bindings(fingerprint.key(), told.key, told.versions)

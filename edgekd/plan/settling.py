"""What a plan learns on its way: whether a student's file can be quantized, and whether storing a teacher's layers saves time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn.knowledge.choosing import LayerChoice
from edgekd.plan import rehearsal
from edgekd.plan import roles
from edgekd.plan import steps
from edgekd.plan import unchanged_file
from edgekd.recipe import Recipe
from edgekd.recipe.steps import Distillation
from edgekd.recipe.steps import distillations
from edgekd.run import Options
from edgekd.stage import Step
from edgekd.stages import check
from edgekd.stages import load
from edgekd.store import Store
from edgekd.store import StoreEntry
from edgekd.units import bytes_text
from edgekd.units import duration_text
from edgekd.walk import Walker

Plan = tuple[tuple[Step, ...], Recipe]


class SettledPlan(NamedTuple):
    """A plan of which nothing is open any more."""

    left: tuple[Step, ...]
    """The steps that were not made on the way."""
    recipe: Recipe
    """Without what a student's file does not allow."""
    planned: Recipe
    """The same, which says itself where layers come from: its plan has the steps that are left."""


def settle_plan(
    recipe: Recipe, folder: Path, todo: tuple[Step, ...], options: Options, walker: Walker
) -> SettledPlan:
    """Walk a plan as far as it takes to know the rest.

    Args:
        recipe: what is carried out.
        folder: what its paths are relative to.
        todo: its plan.
        options: what may run.
        walker: makes the steps.
    """
    left, recipe = settle_file(recipe, folder, todo, options, walker)
    left, planned = settle_layers(recipe, folder, left, options, walker)
    return SettledPlan(left, recipe, planned)


def settle_file(
    recipe: Recipe, folder: Path, todo: tuple[Step, ...], options: Options, walker: Walker
) -> Plan:
    """The steps that are left, and their recipe, once a student's own file was opened, if that is one: whether it can be
    quantized is known only then."""
    if roles.LOADED not in roles.file_labels(recipe):
        return todo, recipe
    opened = [step.label for step in todo].index(roles.LOADED) + 1
    walker.walk(todo[:opened])
    found = read_result(walker, roles.LOADED, load.IMPORT)
    obstacle = str(found["obstacle"])
    if found.get("is_quantized"):
        recipe = unchanged_file.take_quantized(recipe, obstacle)
    elif not obstacle or not recipe.steps:
        return todo[opened:], recipe
    else:
        recipe = unchanged_file.leave_unchanged(recipe, obstacle)
    return _list_left(steps(recipe, folder, options), walker), recipe


def settle_layers(
    recipe: Recipe, folder: Path, todo: tuple[Step, ...], options: Options, walker: Walker
) -> Plan:
    """The steps that are left, and their recipe, once the rehearsal told whether storing a teacher's layers saves time."""
    if not find_open_steps(recipe):
        return todo, recipe
    last = [step.label for step in todo].index(rehearsal.LABEL)
    walker.walk(todo[: last + 1])
    choices = read_choices(walker.entries, walker.store)
    for label, choice in choices.items():
        walker.progress.note(f"{label}: {describe_choice(choice)}")
    recipe = apply_choices(recipe, choices)
    return _list_left(steps(recipe, folder, options), walker), recipe


def find_open_steps(recipe: Recipe) -> list[Distillation]:
    """The steps whose teacher's layers may be stored, and of which the recipe does not say whether they are."""
    found = distillations(recipe.steps)
    return [step for step in found if step.may_store_layers and step.words.knowledge == "auto"]


def read_choices(entries: Mapping[str, StoreEntry], store: Store) -> dict[str, LayerChoice]:
    """What the rehearsal chose for each step that may store layers; empty where it has not run.

    Raises:
        InputError: if its file holds something else.
    """
    entry = entries.get(rehearsal.LABEL)
    if entry is None or check.STORING not in entry.files:
        return {}
    path = store.blob_path(entry.files[check.STORING].sha256)
    value = files.read_json(path)
    try:
        return {str(label): LayerChoice(**row) for label, row in value.items()}
    except (TypeError, AttributeError) as error:
        raise InputError(f"{path}: got {error}, want what a rehearsal chose") from error


def apply_choices(recipe: Recipe, choices: Mapping[str, LayerChoice]) -> Recipe:
    """The recipe whose steps say themselves what was chosen for them."""
    chosen = [step for step in find_open_steps(recipe) if step.label in choices]
    return recipe.settle_knowledge(
        {step.key: "stored" if choices[step.label].is_stored else "online" for step in chosen}
    )


def describe_choice(choice: LayerChoice) -> str:
    """One sentence for people."""
    what = "stored" if choice.is_stored else "computed in every step"
    stored, live = duration_text(choice.stored_s), duration_text(choice.live_s)
    return (
        f"the teacher's layers are {what}, for {choice.why}: stored, about {stored} and "
        f"{bytes_text(choice.stored_bytes)}; computed in every step, about {live}"
    )


def read_result(walker: Walker, label: str, file: str) -> Any:
    """The JSON file of a finished step; what is none goes to quarantine.

    Raises:
        MachineError: if it is none.
    """
    try:
        return files.read_json(walker.path(label, file))
    except InputError as error:
        walker.reject(label, str(error))


def _list_left(todo: tuple[Step, ...], walker: Walker) -> tuple[Step, ...]:
    return tuple(step for step in todo if step.label not in walker.entries)

"""The answers of teachers that a recipe stores, made without the rest of its run."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd import files
from edgekd import follow
from edgekd.errors import InputError
from edgekd.learn.knowledge.choosing import LayerChoice
from edgekd.learn.knowledge_settings import MANIFEST
from edgekd.plan import settling
from edgekd.plan import steps
from edgekd.progress import Progress
from edgekd.recipe import Recipe
from edgekd.recipe.steps import Distillation
from edgekd.recipe.steps import LearningStep
from edgekd.run import Options
from edgekd.stage import Bindings
from edgekd.stage import Step
from edgekd.stage import input_digests
from edgekd.stage import key_inputs
from edgekd.stage import origin_of
from edgekd.stages import knowledge
from edgekd.store import Store
from edgekd.store import StoreEntry
from edgekd.store import compute_key
from edgekd.walk import Walker
from edgekd.walk import open_store


def build_knowledge(
    recipe: Recipe,
    recipe_path: Path,
    options: Options,
    progress: Progress,
    source: Path | str | None = None,
) -> dict[str, StoreEntry]:
    """Make the answers that steps of learning read, and what they stand on; by the labels of their steps.

    Args:
        recipe: whose answers.
        recipe_path: where it lies.
        options: where results are stored, and what may run.
        progress: is told how far it is.
        source: a folder of exported answers, its URL, or somebody's store: they are taken instead of asking. It is only
            read.

    Returns:
        By label; nothing on ranks beside the first, which take part.

    Raises:
        InputError: if no step of learning reads stored answers; with `source`, if several do, or it holds others.
        EdgekdError: as the stages do.
    """
    made: dict[str, StoreEntry] = {}

    def work(options: Options) -> None:
        made.update(_build_alone(recipe, recipe_path, options, progress, source))

    follow.run_with_others(options, work)
    return made


def _build_alone(
    recipe: Recipe,
    recipe_path: Path,
    options: Options,
    progress: Progress,
    source: Path | str | None,
) -> dict[str, StoreEntry]:
    """What rank 0 does."""
    from edgekd.bench.machine import fingerprint

    if source is not None:  # before anything is trained
        _require_source(source, options)
    folder = recipe_path.resolve().parent
    todo = steps(recipe, folder, options)
    if not settling.find_open_steps(recipe):
        _list_stored(todo, recipe, recipe_path, {})
    if source is not None and recipe.knowledge is None:
        raise InputError(f"{recipe_path}: got no `knowledge`, want what {source} was stored with")
    bindings = Bindings(fingerprint.machine_key(), fingerprint.machine_key())
    with open_store(options) as store:
        walker = Walker(store, options, progress, bindings)
        _, settled = settling.settle_layers(recipe, folder, todo, options, walker)
        todo = todo if settled is recipe else steps(settled, folder, options)
        choices = settling.read_choices(walker.entries, store)
        labels = _list_stored(todo, settled, recipe_path, choices)
        if source is not None and len(labels) > 1:
            raise InputError(f"{recipe_path}: got {len(labels)} teachers that are stored, want one")
        needed = _list_needed(todo, labels)
        follow.require_even_batches(needed)
        if source is not None:
            beside = {*labels, *walker.entries}
            walker.walk([step for step in needed if step.label not in beside])
            _bring(source, needed, labels[0], walker)
        walker.walk([step for step in needed if step.label not in walker.entries])
        return {label: walker.entries[label] for label in labels}


def _require_source(source: Path | str, options: Options) -> None:
    """
    Raises:
        InputError: if there are no exported answers, or the network would be needed and may not be used.
        MachineError: if a URL cannot be read.
    """
    from edgekd.learn.knowledge import fetching
    from edgekd.learn.knowledge import layout

    if isinstance(source, Path):
        if Store(source).is_made():
            Store(source).require_store()
        else:
            layout.read_manifest(source / MANIFEST)
        return
    if fetching.needs_network(source) and not options.allow_download:
        raise InputError(f"{source}: got no leave to use the network", hint="--allow-download")
    fetching.fetch_manifest(source)


def _list_stored(
    todo: Sequence[Step], recipe: Recipe, path: Path, choices: Mapping[str, LayerChoice]
) -> list[str]:
    """The labels of the steps that store answers.

    Raises:
        InputError: if none does; it says of each step of learning why.
    """
    labels = [step.label for step in todo if step.stage is knowledge.STAGE]
    if labels:
        return labels
    reasons = "; ".join(_explain_live(step, choices) for step in recipe.steps)
    raise InputError(
        f"{path}: got no step of learning that reads stored answers: {reasons or 'it has no step of learning'}",
        hint="say `knowledge: stored` in a step whose teacher may be stored; compress needs no answers made ahead",
    )


def _explain_live(step: LearningStep, choices: Mapping[str, LayerChoice]) -> str:
    """Why a step reads no stored answers."""
    if step.label in choices:
        return f"{step.label}: {settling.describe_choice(choices[step.label])}"
    if step.answers == "none":
        return f"{step.label} hears no teacher"
    why = step.why_online if isinstance(step, Distillation) else ""
    return (
        f"{step.label} asks its teacher in every step, for {why or 'it says `knowledge: online`'}"
    )


def _list_needed(todo: Sequence[Step], labels: Sequence[str]) -> list[Step]:
    """The steps of those labels and all that they stand on, in order."""
    wanted = set(labels)
    for step in reversed(todo):
        if step.label in wanted:
            wanted |= {label for label, _ in step.takes.values()}
    return [step for step in todo if step.label in wanted]


def _bring(source: Path | str, needed: Sequence[Step], label: str, walker: Walker) -> None:
    """Put exported answers where the step of that label goes on from them, unless it has its result."""
    from edgekd.learn.knowledge import fetching
    from edgekd.learn.knowledge import importing

    makers = {step.label: step for step in needed}
    step, store = makers[label], walker.store
    given = input_digests(step, walker.entries)
    inputs = key_inputs(step, given, walker.bindings, origin_of(step, makers))
    key = compute_key(inputs)
    with store.lock(key):
        if store.peek(key) is None:
            folder = files.make_folder(store.work_folder(key) / "checkpoints")
            if not isinstance(source, Path):
                fetching.fetch_shards(source, folder)
            elif Store(source).is_made():
                importing.import_files(_locate_answers(Store(source), inputs), folder)
            else:
                importing.import_shards(source, folder)


def _locate_answers(shared: Store, wanted: Mapping[str, Any]) -> Callable[[str], Path]:
    """Find the answers of those inputs in somebody else's store, which is only read; what it says is checked by the fill.

    Raises:
        InputError: if it has none.
    """
    for entry in shared.entries():
        if MANIFEST in entry.files and _name_answers(entry.inputs) == _name_answers(wanted):
            blobs = entry.files
            return lambda name: shared.blob_path(blobs[name].sha256 if name in blobs else "0" * 64)
    raise InputError(
        f"{shared.root}: got no answers of this teacher, data and views, want some",
        hint="edgekd knowledge ls --store lists them, edgekd store why tells two results apart",
    )


def _name_answers(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What tells answers apart from others; another machine's arithmetic and versions do not."""
    given = inputs.get("given")
    kept = {**given, "resolved": None} if isinstance(given, Mapping) else None
    return {"given": kept, **{name: inputs.get(name) for name in ("stage", "settings", "seed")}}

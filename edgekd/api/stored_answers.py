"""The answers of teachers that a recipe stores, made without the rest of its run."""

from __future__ import annotations

from pathlib import Path

from edgekd.errors import InputError
from edgekd.plan import steps
from edgekd.progress import Progress
from edgekd.recipe import Recipe
from edgekd.run import Options
from edgekd.stage import Bindings
from edgekd.stages import knowledge
from edgekd.store import StoreEntry
from edgekd.walk import Walker
from edgekd.walk import open_store


def build_knowledge(
    recipe: Recipe, recipe_path: Path, options: Options, progress: Progress
) -> dict[str, StoreEntry]:
    """Make the answers that steps of learning read, and what they stand on; by the labels of their steps.

    Raises:
        InputError: if no step of learning reads stored answers.
        EdgekdError: as the stages do.
    """
    from edgekd.bench.machine import fingerprint

    todo = steps(recipe, recipe_path.resolve().parent, options)
    labels = [step.label for step in todo if step.stage is knowledge.STAGE]
    if not labels:
        raise InputError(f"{recipe_path}: got no step of learning that reads stored answers")
    wanted = set(labels)
    for step in reversed(todo):
        if step.label in wanted:
            wanted |= {label for label, _ in step.takes.values()}
    bindings = Bindings(fingerprint.machine_key(), fingerprint.machine_key())
    with open_store(options) as store:
        walker = Walker(store, options, progress, bindings)
        walker.walk([step for step in todo if step.label in wanted])
        return {label: walker.entries[label] for label in labels}

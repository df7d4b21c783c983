"""What a teacher's answers cost: stored, once for each view; or live, once for each epoch of whoever learns from it."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import ValidationError

from edgekd import dataset
from edgekd.dataset import Dataset
from edgekd.learn import task_fit
from edgekd.learn.knowledge.choosing import LayerChoice
from edgekd.learn.knowledge_settings import EXACT
from edgekd.learn.knowledge_settings import PLACES_BYTES
from edgekd.learn.signals import is_classifier
from edgekd.learn.signals import is_place_classifier
from edgekd.plan import teaching
from edgekd.plan.settling import find_open_steps
from edgekd.plan.settling import read_choices
from edgekd.recipe import Recipe
from edgekd.recipe.steps import Distillation
from edgekd.recipe.steps import LearningStep
from edgekd.stages import knowledge
from edgekd.store import Store
from edgekd.store import StoreEntry
from edgekd.task import interface_of
from edgekd.tasks import BUILT_IN
from edgekd.tasks import load_task
from edgekd.walk import StepForecast


class KnowledgeCost(NamedTuple):
    """Answers of one teacher. None stands for what is not known before anything ran."""

    teacher: str
    is_stored: bool
    """Whether the plan stores them."""
    why_live: str
    """Why it does not; empty where it does, or where the recipe says so."""
    stored_a_sample: int
    """How often each sample is answered once for all."""
    live_a_sample: int
    """How often it is if every step asks anew."""
    samples: int | None
    answer_bytes: int | None
    """Of one stored answer, with the layers that are read, once the rehearsal ran; else known of classes alone. Of texts with
    an answer to every token that of one of the usual length."""
    answer_s: float | None
    """Of asking once, as it was measured when answers of this teacher to these samples were stored."""

    @property
    def stored_bytes(self) -> int | None:
        """Of all that are stored."""
        if self.samples is None or self.answer_bytes is None:
            return None
        return self.stored_a_sample * self.samples * self.answer_bytes

    def count_seconds(self, times: int) -> float | None:
        """Seconds of answering each sample so many times."""
        if self.samples is None or self.answer_s is None:
            return None
        return times * self.samples * self.answer_s


def find_results(foreseen: Sequence[StepForecast], store: Store) -> dict[str, StoreEntry]:
    """Find what the store has of a plan already, by label."""
    entries = {each.step.label: store.peek(each.key) for each in foreseen if each.hit and each.key}
    return {label: entry for label, entry in entries.items() if entry is not None}


def estimate_knowledge(
    recipe: Recipe, results: Mapping[str, StoreEntry], store: Store
) -> Iterator[KnowledgeCost]:
    """Yield what the answers of each teacher that is heard cost.

    Args:
        recipe: what is planned.
        results: what the store has of its plan already, by label.
        store: where results lie.
    """
    about = _read_data(recipe, results, store)
    choices = read_choices(results, store)
    readers: dict[str, list[LearningStep]] = {}
    for step in recipe.steps:
        for name in step.teachers:
            readers.setdefault(name, []).append(step)
    for name, steps in readers.items():
        stored = [step for step in steps if step.answers == "stored"]
        live = next((step for step in steps if step not in stored), None)
        why = live.why_online if isinstance(live, Distillation) else ""
        if live in find_open_steps(recipe):
            why += ", until the rehearsal says that storing them is faster"
        yield KnowledgeCost(
            name,
            not live,
            why,
            recipe.views.count,
            sum(_count_epochs(step, recipe) for step in steps),
            None if about is None else about.counts.get("train"),
            _layered_bytes(recipe, steps, about, choices) or _answer_bytes(recipe, about),
            _measure_answer(teaching.teacher_label(recipe, name), results, store.entries(), about),
        )


def _read_data(recipe: Recipe, results: Mapping[str, StoreEntry], store: Store) -> Dataset | None:
    """What the student learns from, where that is known: it is not where a teacher makes it first."""
    if recipe.synthesis is not None or "data" not in results:
        return None
    return dataset.read(store.blob_path(results["data"].files["data.json"].sha256))


def _count_epochs(step: LearningStep, recipe: Recipe) -> int:
    train = step.train if isinstance(step, Distillation) else getattr(step.words, "train", None)
    return int((train or recipe.student.train).epochs)


def _layered_bytes(
    recipe: Recipe,
    steps: Iterable[LearningStep],
    about: Dataset | None,
    choices: Mapping[str, LayerChoice],
) -> int | None:
    """Of an answer with the layers that the hungriest of those steps reads; None where none reads stored ones."""
    found = [choices[step.label].stored_bytes for step in steps if step.label in choices]
    views = recipe.views.count
    return max(found) // (views * about.counts["train"]) if found and about is not None else None


def _answer_bytes(recipe: Recipe, about: Dataset | None) -> int | None:
    ends = task_fit.read_ends(recipe.task)
    if about is None or ends is None:
        return None
    stored = recipe.knowledge or EXACT
    if is_classifier(ends.outputs):
        return stored.row_bytes(about.sizes()["classes"])
    if not is_place_classifier(ends.outputs) or recipe.task not in BUILT_IN:
        return None
    interface = interface_of(load_task(recipe.task), about)
    (end,) = interface.outputs
    usual = {axis.name: axis.usual for axis in interface.axes}.get(str(end.shape[1]))
    if usual is None:
        return None
    target = about.targets.get(end.target)
    places = usual if target is None else max(1, round(target.compared_share() * usual))
    return PLACES_BYTES + places * stored.row_bytes(int(end.shape[2]))


def _measure_answer(
    label: str,
    results: Mapping[str, StoreEntry],
    entries: Iterable[StoreEntry],
    about: Dataset | None,
) -> float | None:
    """Seconds an answer in the last result of the stage that asked this model about these samples."""
    if about is None or label not in results:
        return None
    wanted = {
        "blueprint": results[label].files["blueprint.json"].sha256,
        "train": results["data"].files["train"].sha256,
    }
    found = None
    for entry in entries:
        given, settings = (entry.inputs.get(name) for name in ("given", "settings"))
        if entry.inputs.get("stage") != knowledge.STAGE.name or not isinstance(given, Mapping):
            continue
        if any(given.get(name) != digest for name, digest in wanted.items()):
            continue
        try:
            views = knowledge.KnowledgeConfig.model_validate(settings).views
        except ValidationError:  # of another edgekd, or by somebody else
            continue
        found = entry.made.took_s / (views.count * about.counts["train"])
    return found

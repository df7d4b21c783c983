"""Who teaches in a step of learning: the files it takes from its teachers, and what they are asked beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence

from edgekd.learn.knowledge_settings import MANIFEST
from edgekd.learn.settings import find_reuse_term
from edgekd.plan import own_texts
from edgekd.plan import wiring
from edgekd.recipe import Recipe
from edgekd.recipe.learning import THE_STUDENT
from edgekd.recipe.learning import THE_TEACHER
from edgekd.recipe.steps import Distillation
from edgekd.recipe.steps import LearningStep
from edgekd.recipe.steps import distillations
from edgekd.stage import EVERY
from edgekd.stage import Step
from edgekd.stages import check
from edgekd.stages import knowledge

(TEACHER,) = THE_TEACHER
STUDENT_TUNED = "tune-student"
REHEARSAL = "check"
"""The step before all training."""


def teacher_label(recipe: Recipe, name: str) -> str:
    """The label of the step that makes the teacher `name`; that of the student as it was loaded is its name."""
    return f"{TEACHER}-{name}" if name in recipe.teachers else name


def tuning_label(recipe: Recipe, name: str) -> str:
    """The step that says in which arithmetic that teacher answers: one that is loaded, in its student's."""
    if name in recipe.named_teachers:
        trained = recipe.named_teachers[name].is_trained
        return f"tune-{teacher_label(recipe, name)}" if trained else STUDENT_TUNED
    if (name,) == THE_STUDENT:
        return STUDENT_TUNED
    return learner_tuning_label(find_step(recipe, name))


def learner_tuning_label(step: Distillation) -> str:
    """The step that says in which arithmetic a student learns: an assistant in its own."""
    return f"tune-{step.label}" if step.has_own_model else STUDENT_TUNED


def find_step(recipe: Recipe, label: str) -> Distillation:
    """Find the step of learning of that label."""
    return next(step for step in distillations(recipe.steps) if step.label == label)


def teacher_inputs(recipe: Recipe, step: LearningStep) -> wiring.Takes:
    """The files that a step reads of its teachers: stored answers, or models."""
    found: wiring.Takes = {}
    for number, name in enumerate(step.teachers, start=1):
        mark = f"_{number}" if number > 1 else ""
        if step.answers == "stored":
            label = knowledge_label(name)
            if recipe.knowledge is None and not find_layer_readers(recipe, name):
                found[f"knowledge{mark}"] = (label, knowledge.ARRAY)
            else:  # its manifest names the others
                found[f"knowledge{mark}"] = (label, EVERY)
                found[f"knowledge{mark}/{MANIFEST}"] = (label, MANIFEST)
        else:
            model = wiring.model_inputs(teacher_label(recipe, name), prefix="teacher_")
            found |= {key + mark: place for key, place in model.items()}
            found |= own_texts.take_beside(recipe, name, "train", owner=f"teacher{mark}")
    if isinstance(step, Distillation) and "waypoint_functions" in step.asks:
        (first, *_), makers = step.teachers, recipe.named_teachers
        maker, teacher = teacher_label(recipe, first), makers[first]
        for number in range(1, teacher.waypoints + 1):
            found[f"teacher_waypoint_{number}"] = (maker, f"waypoint-{number}.safetensors")
    return found


def find_sharded(recipe: Recipe, step: LearningStep) -> tuple[str, ...]:
    """Find the marks of a step's live teachers whose parameters the ranks are to share out; none where a scheme or a
    loss takes the teacher itself, be it to take it apart."""
    if step.answers != "online" or why_whole(step):
        return ()
    marks = {
        "" if number == 1 else f"_{number}": name for number, name in enumerate(step.teachers, 1)
    }
    return tuple(mark for mark, name in marks.items() if _is_sharded(recipe, name))


def why_whole(step: LearningStep) -> str:
    """Say why a step needs its teachers whole on every rank; empty if it does not."""
    if not isinstance(step, Distillation):
        return ""
    reused = find_reuse_term(step.words.losses)
    if reused is not None:
        return f"loss {reused.loss.name} takes its classifier"
    takes = {"teacher", "pairs"} & {*step.asks}
    return f"scheme {step.words.scheme.name} takes it apart" if takes else ""


def _is_sharded(recipe: Recipe, name: str) -> bool:
    return name in recipe.named_teachers and recipe.named_teachers[name].sharded


def find_layer_readers(recipe: Recipe, name: str) -> list[Distillation]:
    """The steps that read layers of that teacher which are stored beside its answers."""
    taught = distillations(recipe.steps)
    return [step for step in taught if step.reads_stored_layers and step.teachers[0] == name]


def knowledge_label(name: str) -> str:
    """The step in which that teacher answers every view."""
    return "knowledge" if name == TEACHER else f"knowledge-{name}"


def knowledge_steps(
    recipe: Recipe, step: LearningStep, earlier: Sequence[LearningStep]
) -> Iterator[Step]:
    """Yield what has to be asked before a step of learning and was not asked for an earlier one."""
    before = {name for other in earlier for name in _stored(other)}
    for name in _stored(step):
        if name not in before:
            yield _asked(recipe, name)


def _stored(step: LearningStep) -> tuple[str, ...]:
    """Return whose answers are read back."""
    return step.teachers if step.answers == "stored" else ()


def _asked(recipe: Recipe, name: str) -> Step:
    config = knowledge.KnowledgeConfig(
        views=recipe.views,
        views_seed=recipe.seed,
        storage=None if recipe.knowledge is None else recipe.knowledge.storage,
        sharded=_is_sharded(recipe, name),
    )
    samples = wiring.training_inputs(recipe)
    if own_texts.find_label(recipe, name) != "data":
        samples = own_texts.take_splits(recipe, name, "train")
    inputs = {
        "data": samples["data"],
        "train": samples["train"],
        **wiring.model_inputs(teacher_label(recipe, name)),
        "resolved": (tuning_label(recipe, name), "resolved.json"),
    }
    for number, reader in enumerate(find_layer_readers(recipe, name), start=1):
        inputs[f"layers_{number}"] = (REHEARSAL, check.layers_file(reader.label))
    return Step(knowledge_label(name), knowledge.STAGE, config, inputs)

"""Who teaches in a step of learning: the files it takes from its teachers, and what they are asked beforehand."""

from __future__ import annotations

from collections.abc import Iterator

from edgekd.plan import wiring
from edgekd.recipe import Recipe
from edgekd.recipe.learning import Distil
from edgekd.recipe.learning import Quantize
from edgekd.recipe.learning import TaughtStep
from edgekd.recipe.learning import Teacher
from edgekd.recipe.learning import answer_source
from edgekd.recipe.learning import scheme_inputs
from edgekd.recipe.learning import step_labels
from edgekd.stage import Step
from edgekd.stages import knowledge

TEACHER = "teacher"
STUDENT_TUNED = "tune-student"


def teacher_label(recipe: Recipe, name: str) -> str:
    """The label of the step that makes the teacher `name`."""
    return f"{TEACHER}-{name}" if name in recipe.teachers else name


def tuning_label(recipe: Recipe, name: str) -> str:
    """The step that says in which arithmetic that teacher answers: one that is loaded, in its student's."""
    if name == TEACHER or name in recipe.teachers:
        trained = _words(recipe, name).weights is None
        return f"tune-{teacher_label(recipe, name)}" if trained else STUDENT_TUNED
    words = recipe.learn[step_labels(recipe.learn).index(name)]
    own = isinstance(words, Distil) and words.model is not None
    return f"tune-{name}" if own else STUDENT_TUNED


def step_teachers(words: TaughtStep) -> tuple[str, ...]:
    """The teachers of a step that has any."""
    if answer_source(words) == "none":
        return ()
    return words.teachers if isinstance(words, Distil) else (TEACHER,)


def teacher_inputs(recipe: Recipe, words: TaughtStep) -> wiring.Takes:
    """The files that a step reads of its teachers: stored answers, or models."""
    stored = answer_source(words) == "stored"
    found: wiring.Takes = {}
    for number, name in enumerate(step_teachers(words), start=1):
        mark = f"_{number}" if number > 1 else ""
        if stored:
            found[f"knowledge{mark}"] = (knowledge_label(name), "knowledge.npy")
        else:
            model = wiring.model_inputs(teacher_label(recipe, name), prefix="teacher_")
            found |= {key + mark: place for key, place in model.items()}
    if isinstance(words, Distil) and "waypoint_functions" in scheme_inputs(words):
        maker, teacher = teacher_label(recipe, words.teachers[0]), _words(recipe, words.teachers[0])
        for number in range(1, teacher.waypoints + 1):
            found[f"teacher_waypoint_{number}"] = (maker, f"waypoint-{number}.safetensors")
    return found


def _words(recipe: Recipe, name: str) -> Teacher:
    return recipe.teacher if name == TEACHER else recipe.teachers[name]


def knowledge_label(name: str) -> str:
    """The step in which that teacher answers every view."""
    return "knowledge" if name == TEACHER else f"knowledge-{name}"


def knowledge_steps(recipe: Recipe, number: int) -> Iterator[Step]:
    """What has to be asked before step `number` of learning and was not asked for an earlier one."""
    before = {name for words in recipe.learn[:number] for name in _stored(words)}
    for name in dict.fromkeys(_stored(recipe.learn[number])):
        if name not in before:
            yield _asked(recipe, name)


def _stored(words: object) -> tuple[str, ...]:
    """Whose answers are read back."""
    if isinstance(words, Quantize):
        return (TEACHER,) if asks_teacher(words) and words.knowledge == "stored" else ()
    taught = words if isinstance(words, Distil) else getattr(words, "recover", None)
    if taught is None or answer_source(taught) != "stored":
        return ()
    return step_teachers(taught)


def asks_teacher(words: Quantize) -> bool:
    """Whether a quantized student hears the recipe's teacher, too."""
    return words.train is not None and TEACHER in words.teachers


def _asked(recipe: Recipe, name: str) -> Step:
    config = knowledge.Config(views=recipe.views, views_seed=recipe.seed)
    samples = wiring.training_inputs(recipe)
    inputs = {
        "data": samples["data"],
        "train": samples["train"],
        **wiring.model_inputs(teacher_label(recipe, name)),
        "resolved": (tuning_label(recipe, name), "resolved.json"),
    }
    return Step(knowledge_label(name), knowledge.STAGE, config, inputs)

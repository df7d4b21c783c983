"""Checks with what a recipe begins: a student that is there already or learns first, and a teacher where one is asked."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence

from edgekd.learn.losses import LOSSES
from edgekd.learn.signals import find_signal
from edgekd.learn.signals import needs
from edgekd.recipe.learning import THE_STUDENT
from edgekd.recipe.learning import THE_TEACHER
from edgekd.recipe.learning import Student
from edgekd.recipe.steps import Distillation
from edgekd.recipe.steps import LearningStep
from edgekd.recipe.steps import distillations
from edgekd.recipe.text import Key

Fault = tuple[Key, str]
(TEACHER,) = THE_TEACHER
(STUDENT,) = THE_STUDENT
WANT_TEACHER = "want `teacher` in the recipe: a model, with `weights` or trained here"


def find_fault(
    steps: Sequence[LearningStep],
    teachers: Collection[str],
    student: Student,
    *,
    synthesizes: bool = False,
) -> Fault | None:
    """Find the first thing that cannot begin: its key and a sentence; None if there is none.

    Args:
        steps: of learning.
        teachers: names of the recipe's teachers.
        student: the small model.
        synthesizes: whether samples are made from the teacher.
    """
    found = (
        *_student(student),
        *(_loaded(steps) if student.has_weights else _untrained(steps, student)),
        *(() if TEACHER in teachers else _untaught(steps, teachers, synthesizes)),
    )
    return next(iter(found), None)


def _student(student: Student) -> Iterator[Fault]:
    """What is said of a student's weights counts where it has some; its norms are as they were trained."""
    if student.has_weights:
        if student.norm != "batch":
            want = "want 'batch': its norms are those that the weights belong to"
            yield ("student", "norm"), f"got {student.norm!r} beside `weights`, {want}"
        return
    for name in ("classes", "allow"):
        if getattr(student, name):
            why = "only a student that is loaded has such"
            yield ("student", name), f"got it for a student that is trained here, {why}"


def _untrained(steps: Sequence[LearningStep], student: Student) -> Iterator[Fault]:
    """A student without weights learns first, all of it."""
    if student.train.freeze and not any(step.words.inherit for step in distillations(steps)):
        want = "want weights for the student: what is drawn at random would never learn"
        yield ("student", "train", "freeze"), f"got it for new weights, {want}"
    want = "or `student.weights` for a student that is trained already"
    if not steps:
        yield ("learn",), f"got no step, want distil, {want}"
    elif not isinstance(steps[0], Distillation):
        name = steps[0].words.step
        yield (*steps[0].key, "step"), f"got {name!r} first, want distil before it, {want}"


def _loaded(steps: Sequence[LearningStep]) -> Iterator[Fault]:
    """A student with weights begins with them, and not with others."""
    for step in distillations(steps):
        if step.has_own_model or not step.starts_fresh:
            continue
        if step.words.inherit is not None:
            yield (*step.key, "inherit"), "got it beside `student.weights`, want one of them"
        elif "build_peer" in step.asks:
            name = step.words.scheme.name
            yield (
                (*step.key, "scheme"),
                f"got {name!r} beside `student.weights`, want another: its peers begin untrained",
            )


def _untaught(
    steps: Sequence[LearningStep], teachers: Collection[str], synthesizes: bool
) -> Iterator[Fault]:
    """Yield what asks for the teacher of a recipe that has none."""
    if teachers:
        yield ("teachers",), "got further teachers, want the first under `teacher`"
    if synthesizes:
        yield ("synthesis",), f"got it, which makes samples from a teacher, {WANT_TEACHER}"
    for step in steps:
        heir = step.words.inherit if isinstance(step, Distillation) else None
        if heir is not None and heir.teacher == TEACHER:
            key = (*step.key, "inherit")
            yield key, f"got it, which begins with a teacher's parameters, {WANT_TEACHER}"
        if TEACHER in step.teachers:
            yield _asking(step)


def _asking(step: LearningStep) -> Fault:
    """Return what of a step asks for a teacher: a loss, or else its scheme or its list of teachers."""
    want = f"{WANT_TEACHER}, or losses on labels"
    for index, term in enumerate(step.losses):
        if any(
            find_signal(name).side == "teacher" for name in needs(term.loss.find_member(LOSSES))
        ):
            what = f"got {term.loss.name!r}, which compares with a teacher"
            return (*step.key, "losses", index), f"{what}, {want}"
    if isinstance(step, Distillation) and "teachers" not in step.words.model_fields_set:
        name = step.words.scheme.name
        return (*step.key, "scheme"), f"got {name!r}, which asks a teacher, {WANT_TEACHER}"
    return (*step.key, "teachers"), f"got {TEACHER!r}, {WANT_TEACHER}"

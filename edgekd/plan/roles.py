"""Which of the compared models a recipe has, and the steps that make them."""

from __future__ import annotations

from edgekd.bench.roles import CONTROL
from edgekd.bench.roles import REFERENCE
from edgekd.bench.roles import STUDENT
from edgekd.bench.roles import TEACHER
from edgekd.bench.roles import MeasuredRole
from edgekd.bench.roles import find_reference
from edgekd.profile import stored_precision
from edgekd.recipe import Recipe
from edgekd.recipe.steps import Distillation
from edgekd.recipe.steps import Quantization
from edgekd.recipe.steps import distillations

FLOAT, INT8 = "fp32", "int8"
LOADED = STUDENT
"""The step that loads the student's weights."""


def begins_finished(recipe: Recipe) -> bool:
    """Return whether the student is loaded and taken as it is; one that is trained first gets a head for the data."""
    learned = any(isinstance(step, Distillation) for step in recipe.steps[:1])
    return recipe.student.has_weights and not learned


def float_label(recipe: Recipe) -> str:
    """The step that makes the finished float student: the last that does not quantize, or the one that loads it."""
    learned = [step.label for step in recipe.steps if not isinstance(step, Quantization)]
    return learned[-1] if learned else LOADED


def start_label(recipe: Recipe) -> str:
    """The step that makes the float student with which the run begins: it is loaded, or learned first."""
    if begins_finished(recipe):
        return LOADED
    return [step.label for step in distillations(recipe.steps) if step.starts_fresh][-1]


def file_labels(recipe: Recipe) -> set[str]:
    """The steps that open a user's own file, which is deployed as it is."""
    found = {LOADED} if recipe.student.is_file and begins_finished(recipe) else set()
    if recipe.teacher is not None and recipe.teacher.is_file and not recipe.teacher.is_trained:
        found.add(TEACHER)
    return found


def is_quantized_file(recipe: Recipe) -> bool:
    """Return whether the student is a user's file that was quantized before: int8 alone is asked, and no step makes it."""
    is_made = any(isinstance(step, Quantization) for step in recipe.steps)
    asked = {stored_precision(each) for target in recipe.targets for each in target.precisions()}
    return LOADED in file_labels(recipe) and not is_made and asked == {INT8}


def has_control(recipe: Recipe) -> bool:
    """Return whether a control is trained: where more than the data's labels teaches the student, be it samples of its
    teacher, unless the recipe wants none."""
    synthesizes = recipe.synthesis is not None
    taught = (each for each in distillations(recipe.steps) if not each.is_recovery)
    return recipe.control and any(each.is_taught or synthesizes for each in taught)


def role_labels(recipe: Recipe) -> dict[str, str]:
    """The step that makes each of the models that are compared, in the order of `ROLES`; only those that there are."""
    labels = {}
    if recipe.teacher is not None:
        labels[TEACHER] = TEACHER
    elif start_label(recipe) != float_label(recipe):
        labels[REFERENCE] = start_label(recipe)
    if has_control(recipe):
        labels[CONTROL] = CONTROL
    return {**labels, STUDENT: float_label(recipe)}


def measured_labels(recipe: Recipe) -> dict[MeasuredRole, str]:
    """The step that makes each of the models that are exported and measured: the student, and what it is compared with.

    A student that is what the run began with is its own reference, as long as every target measures it in float32, or as a
    file that has no float form.
    """
    labels = role_labels(recipe)
    reference = find_reference(labels)
    is_measured = all(FLOAT in target.precisions() for target in recipe.targets)
    if reference == STUDENT and not is_measured and not is_quantized_file(recipe):
        reference = REFERENCE
    return {STUDENT: labels[STUDENT], reference: labels.get(reference, labels[STUDENT])}

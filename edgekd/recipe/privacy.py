"""What a private step wants of the rest of a recipe: that nothing else tells of the samples."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from collections.abc import Sequence

from edgekd.learn.models import MODELS
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.view_settings import Views
from edgekd.recipe.learning import Student
from edgekd.recipe.steps import Distillation
from edgekd.recipe.steps import LearningStep
from edgekd.recipe.steps import Quantization
from edgekd.recipe.steps import distillations
from edgekd.recipe.teachers import Fault
from edgekd.recipe.text import Key

LEAST_BATCH = 64
"""As `edgekd.learn.privacy.dp_sgd` has it."""
AGAIN = "it learns from the same samples again, which epsilon does not count"


def find_fault(steps: Sequence[LearningStep], student: Student, views: Views) -> Fault | None:
    """Find the first thing that contradicts a private step: its key and a sentence; None if there is none.

    Args:
        steps: of learning.
        student: the small model, and how it is trained where a step does not say.
        views: what the student sees.
    """
    found = (
        each
        for number, step in enumerate(steps)
        if isinstance(step, Distillation) and step.words.private is not None
        for each in (*_step(step, student, views), *_chain(step, steps[number + 1 :]))
    )
    return next(found, None)


def _step(step: Distillation, student: Student, views: Views) -> Iterator[Fault]:
    """Each sample is asked for once, alone, in an arithmetic that clips what it should."""
    key, words, train = step.key, step.words, step.train
    if not SCHEMES[words.scheme.name].sees_batch_once or words.inherit is not None:
        yield (*key, "private"), "got it beside a scheme or inherit, want neither"
    if views.mixup or views.cutmix:
        mix = "mixup" if views.mixup else "cutmix"
        yield (*key, "private"), f"got it beside views.{mix}, want each sample by itself"
    whose: Key = (*key, "train") if words.train else ("student", "train")
    if train.batch_size < LEAST_BATCH:
        want = f"want {LEAST_BATCH} or more for privacy"
        yield (*whose, "batch_size"), f"got {train.batch_size}, {want}"
    if train.auxiliary:
        yield (*whose, "auxiliary"), "got it for a private step, want 0"
    if train.precision == "fp16":
        yield (*whose, "precision"), "got 'fp16', want 'bf16' or 'fp32' for privacy"
    if student.norm == "batch" and MODELS[step.model.name].has_batch_norm:
        why = f"the batch norms of {step.model} let samples see one another"
        yield ("student", "norm"), f"got 'batch', want 'group' for privacy: {why}"


def _chain(step: Distillation, later: Sequence[LearningStep]) -> Iterator[Fault]:
    """Yield the faults of later steps: none but this one may train the weights that it gives, and these must be
    shipped."""
    key = (*step.key, "private")
    if not step.starts_fresh:
        want = "want it on one that starts afresh: what was learned before is not counted"
        yield key, f"got it on a step that goes on from another, {want}"
    fresh = [after for after in distillations(later) if after.starts_fresh]
    last = ([step, *fresh])[-1]
    if last.words.private is None:
        where = ".".join(map(str, last.key))
        yield key, f"got it, and none on {where}, which trains what is shipped, want it there"
    for after in itertools.takewhile(lambda each: each not in fresh, later):
        if isinstance(after, Distillation):
            name = "it" if after.is_recovery else repr(after.words.step)
            place = after.key if after.is_recovery else (*after.key, "step")
            yield place, f"got {name} after a private step, want none: {AGAIN}"
        elif isinstance(after, Quantization) and after.words.train is not None:
            yield (*after.key, "train"), f"got it after a private step, want null: {AGAIN}"

"""What a private step wants of the rest of a recipe: that nothing else tells of the samples."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from edgekd.learn.models import MODELS
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.settings import Views
from edgekd.recipe.learning import Distil
from edgekd.recipe.learning import Quantize
from edgekd.recipe.learning import Student
from edgekd.recipe.learning import starts_fresh
from edgekd.recipe.teachers import Fault
from edgekd.recipe.text import Key

LEAST_BATCH = 64
"""As `edgekd.learn.privacy.dp_sgd` has it."""
AGAIN = "it learns from the same samples again, which epsilon does not count"


def find_fault(learn: Sequence[Any], student: Student, views: Views) -> Fault | None:
    """Find the first thing that contradicts a private step: its key and a sentence; None if there is none.

    Args:
        learn: the steps of learning.
        student: the small model, and how it is trained where a step does not say.
        views: what the student sees.
    """
    found = (
        each
        for number, words in enumerate(learn)
        if isinstance(words, Distil) and words.private is not None
        for each in (
            *_step(words, ("learn", number), student, views),
            *_chain(learn, number),
        )
    )
    return next(found, None)


def _step(words: Distil, key: Key, student: Student, views: Views) -> Iterator[Fault]:
    """Each sample is asked for once, alone, in an arithmetic that clips what it should."""
    if not SCHEMES[words.scheme.name].sees_batch_once or words.inherit is not None:
        yield (*key, "private"), "got it beside a scheme or inherit, want neither"
    if views.mixup or views.cutmix:
        mix = "mixup" if views.mixup else "cutmix"
        yield (*key, "private"), f"got it beside views.{mix}, want each sample by itself"
    whose, train = ((*key, "train"), words.train) if words.train else (("student", "train"), None)
    train = train or student.train
    if train.batch_size < LEAST_BATCH:
        want = f"want {LEAST_BATCH} or more for privacy"
        yield (*whose, "batch_size"), f"got {train.batch_size}, {want}"
    if train.auxiliary:
        yield (*whose, "auxiliary"), "got it for a private step, want 0"
    if train.precision == "fp16":
        yield (*whose, "precision"), "got 'fp16', want 'bf16' or 'fp32' for privacy"
    model = words.model or student.model
    if student.norm == "batch" and MODELS[model.name].has_batch_norm:
        why = f"the batch norms of {model} let samples see one another"
        yield ("student", "norm"), f"got 'batch', want 'group' for privacy: {why}"


def _chain(learn: Sequence[Any], number: int) -> Iterator[Fault]:
    """Nothing but that step trains the weights that it gives, and they are those that are shipped."""
    key = ("learn", number, "private")
    if not starts_fresh(learn, number):
        want = "want it on one that starts afresh: what was learned before is not counted"
        yield key, f"got it on a step that goes on from another, {want}"
    starts = [at for at in range(len(learn)) if starts_fresh(learn, at)]
    if learn[starts[-1]].private is None:
        yield (
            key,
            f"got it, and none on learn.{starts[-1]}, which trains what is shipped, want it there",
        )
    for later in range(number + 1, next((at for at in starts if at > number), len(learn))):
        after = learn[later]
        if isinstance(after, Distil):
            yield ("learn", later, "step"), f"got 'distil' after a private step, want none: {AGAIN}"
        elif isinstance(after, Quantize) and after.train is not None:
            yield ("learn", later, "train"), f"got it after a private step, want null: {AGAIN}"
        elif getattr(after, "recover", None) is not None:
            yield ("learn", later, "recover"), f"got it after a private step, want none: {AGAIN}"

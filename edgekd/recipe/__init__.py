"""What a recipe is: one frozen, typed value that says all of a run and runs nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from typing import Any
from typing import Literal

from pydantic import AfterValidator
from pydantic import Field
from pydantic import ValidationError

from edgekd.errors import nearest
from edgekd.learn.losses import LOSSES
from edgekd.learn.settings import LABELS_ALONE
from edgekd.learn.settings import Losses
from edgekd.learn.settings import ModelName
from edgekd.learn.settings import Term
from edgekd.learn.settings import Training
from edgekd.learn.settings import Views
from edgekd.recipe import json_schema
from edgekd.recipe import text as recipe_text
from edgekd.recipe import words
from edgekd.runtimes import RUNTIMES
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.stages.choose import Budget
from edgekd.stages.data import Config as DataConfig
from edgekd.stages.export import Config as ExportConfig
from edgekd.stages.measure import Measure
from edgekd.table import signature

SIGNALS = {
    "student_logits": "labels",
    "labels": "labels",
    "teacher_logits": "teacher",
}
"""What a loss may compare, and where it comes from: the labels' own training, or a teacher."""


def _from_labels(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    for term in terms:
        if any(SIGNALS.get(name) != "labels" for name in signature(_member(term)).positional):
            raise ValueError(
                f"got {term.loss.name!r}, which compares with a teacher, want a loss on labels; "
                "it belongs in learn.0.losses"
            )
    return terms


def _from_teacher(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    for term in terms:
        for name in signature(_member(term)).positional:
            if name not in SIGNALS:
                raise ValueError(f"got {term.loss.name!r}, which needs {name}: nothing gives it")
    return terms


def _member(term: Term) -> Any:
    return LOSSES[term.loss.name]


def _runtime(name: str) -> str:
    if name not in RUNTIMES:
        raise ValueError(f"got unknown runtime {name!r}; {nearest(name, RUNTIMES)}")
    return name


def _distinct(items: tuple[Any, ...]) -> tuple[Any, ...]:
    for i, item in enumerate(items):
        if item in items[:i]:
            raise ValueError(f"got {item!r} twice, want it once")
    return items


def _distinct_runtimes(targets: tuple[Target, ...]) -> tuple[Target, ...]:
    _distinct(tuple(target.runtime for target in targets))
    return targets


LabelLosses = Annotated[Losses, AfterValidator(_from_labels)]
TeacherLosses = Annotated[Losses, AfterValidator(_from_teacher)]
Precision = Literal["fp32", "bf16", "fp16"]


class Teacher(Settings):
    """The large model: trained here, or loaded and checked on the validation split."""

    model: ModelName
    """A builder of `edgekd models`."""
    weights: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """Trained weights (safetensors or a .pt state dict), relative to the recipe; None trains."""
    losses: LabelLosses = LABELS_ALONE
    """What it is trained on where there are no weights."""
    train: Training = Training()
    """How it is trained where there are no weights."""
    views: Views | None = None
    """What it sees in its own training; None is what its student will see."""


class Student(Settings):
    """The small model, and how it is trained."""

    model: ModelName
    """A builder of `edgekd models`."""
    losses: LabelLosses = LABELS_ALONE
    """What its control, the same student without a teacher, is trained on."""
    train: Training = Training()
    """How the student and its control are trained."""


class Distil(Settings):
    """The student learns from the teacher's answers."""

    step: Literal["distil"]
    losses: TeacherLosses
    """The terms that are summed."""
    knowledge: Literal["stored", "online"] = "stored"
    """The teacher answers every view once, beforehand; or every batch anew."""
    train: Training | None = None
    """How it is trained; None is as the student says."""


LearnStep = Distil
"""One step of learning, told apart by ``step``."""


class Target(Settings):
    """One engine to compile for, and how to run it."""

    runtime: Annotated[str, AfterValidator(_runtime)]
    """An engine of `edgekd doctor`."""
    precision: (
        Literal["auto"]
        | Annotated[
            tuple[Precision, ...], Field(min_length=1, strict=False), AfterValidator(_distinct)
        ]
    ) = "auto"
    """Precisions to try; auto is all that the engine offers on this machine."""
    threads: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1024)], ...],
        Field(min_length=1, strict=False),
        AfterValidator(_distinct),
    ] = (1,)
    """Thread counts to measure."""


class Recipe(Settings):
    """All of a run: from the data to the budget the chosen candidate has to meet."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    """Names the run's folder: small letters, digits, dot, dash, underscore."""
    seed: Whole = 0
    """Randomness of the split, the views, the teacher and the measurement's samples."""
    student_seed: Whole = 0
    """Randomness of the student and its control: their first weights and their epochs' order."""
    data: DataConfig
    """Which samples, and how they are split."""
    views: Views = Views()
    """Augmentation of the training split."""
    teacher: Teacher
    """The large model."""
    student: Student
    """The small model."""
    learn: Annotated[tuple[LearnStep, ...], Field(min_length=1, strict=False)]
    """What the student goes through, in order."""
    export: ExportConfig = ExportConfig()
    """How the models become ONNX."""
    targets: Annotated[
        tuple[Target, ...],
        Field(min_length=1, strict=False),
        AfterValidator(_distinct_runtimes),
    ]
    """The engines to compile for and measure."""
    measure: Measure = Measure()
    """How long and how often is measured."""
    budget: Budget = Budget()
    """What the chosen candidate has to meet."""


def load(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in a YAML or TOML file.

    Args:
        path: the file.
        overrides: ``student.train.epochs=3``; values are YAML, they count over the file's.

    Raises:
        InputError: one line with file, line, key and what is wrong there.
    """
    document = recipe_text.override(recipe_text.read(path), overrides)
    recipe = checked(document)
    weights = weights_path(recipe, path)
    if weights is not None and not os.path.isfile(weights):  # noqa: PTH113  (is_file can raise)
        key: recipe_text.Key = ("teacher", "weights")
        written = recipe_text.shortened(repr(recipe.teacher.weights), 60)
        message = f"got {written}, want a file (relative to the recipe)"
        raise recipe_text.refused(recipe_text.place_of(document, key), key, message)
    return recipe


def checked(document: recipe_text.Document) -> Recipe:
    """What a document says, typed; files that it names are not looked for.

    Raises:
        InputError: as `load`.
    """
    if not isinstance(document.value, dict):
        raise recipe_text.refused(document.places[()], (), "got no mapping, want a recipe")
    try:
        return Recipe.model_validate(document.value)
    except ValidationError as error:
        raise words.told(error, document, Recipe) from error


def weights_path(recipe: Recipe, path: Path) -> Path | None:
    """The teacher's weights as `path`, the recipe's file, names them; None if it is trained."""
    weights = recipe.teacher.weights
    return None if weights is None else path.parent / weights


def schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of a recipe, for editors: names and their knobs included."""
    return json_schema.of(Recipe)

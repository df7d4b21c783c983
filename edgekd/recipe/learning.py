"""What a recipe says of who learns, from what: the models and the steps of learning."""

from __future__ import annotations

from typing import Annotated
from typing import Any
from typing import Literal

from pydantic import AfterValidator
from pydantic import Field

from edgekd.learn.losses import LOSSES
from edgekd.learn.settings import LABELS_ALONE
from edgekd.learn.settings import Losses
from edgekd.learn.settings import ModelName
from edgekd.learn.settings import Term
from edgekd.learn.settings import Training
from edgekd.learn.settings import Views
from edgekd.recipe.target import AUTO
from edgekd.recipe.target import Profiles
from edgekd.settings import Settings
from edgekd.stages import factorize
from edgekd.stages import prune
from edgekd.stages import quantize
from edgekd.table import signature

SIGNALS = {
    "student_logits": "labels",
    "labels": "labels",
    "label_indices": "labels",
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


def unmixed(term: Term) -> bool:
    """Whether a loss wants one class a sample, which views that mix samples do not have."""
    return "label_indices" in signature(_member(term)).positional


def _member(term: Term) -> Any:
    return LOSSES[term.loss.name]


LabelLosses = Annotated[Losses, AfterValidator(_from_labels)]
TeacherLosses = Annotated[Losses, AfterValidator(_from_teacher)]


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


class Taught(Settings):
    """A student learns from a teacher's answers."""

    losses: TeacherLosses
    """The terms that are summed."""
    knowledge: Literal["stored", "online"] = "stored"
    """The teacher answers every view once, beforehand; or every batch anew."""
    train: Training | None = None
    """How it is trained; None is as the student says."""


class Distil(Taught):
    """The student learns from the teacher's answers."""

    step: Literal["distil"]


class Factorize(factorize.Words):
    """Layers that are faster as a product of smaller ones become that."""

    step: Literal["factorize"]
    recover: Taught | None = None
    """How the student learns again what it lost; None is not at all."""


class Prune(prune.Words):
    """Whole channels go."""

    step: Literal["prune"]
    recover: Taught | None = None
    """How the student learns again what it lost; None is not at all."""


class Quantize(quantize.Words):
    """The student learns to answer as well with its weights and activations in 8 bits or less."""

    step: Literal["quantize"]
    losses: TeacherLosses = quantize.SOFT_TARGETS
    """The terms that are summed. Labels are not needed."""
    profiles: Profiles = AUTO
    """Which Q/DQ files are written; auto is those of the targets."""


LearnStep = Annotated[Distil | Factorize | Prune | Quantize, Field(discriminator="step")]
"""One step of learning, told apart by ``step``."""

"""What a recipe says of who learns, from what: the models and the steps of learning."""

from __future__ import annotations

from typing import Annotated
from typing import Any
from typing import Literal
from typing import TypeVar

from pydantic import AfterValidator
from pydantic import Field
from pydantic import field_validator
from pydantic import model_validator

from edgekd.learn.losses import LOSSES
from edgekd.learn.model_settings import Input
from edgekd.learn.model_settings import ModelName
from edgekd.learn.models import MODELS
from edgekd.learn.quantize_settings import QuantizeSettings
from edgekd.learn.schemes import OFFLINE
from edgekd.learn.schemes import SchemeName
from edgekd.learn.settings import BY_TASK
from edgekd.learn.settings import CombineSettings
from edgekd.learn.settings import InheritSettings
from edgekd.learn.settings import Losses
from edgekd.learn.settings import OptionalLosses
from edgekd.learn.settings import PrivacySettings
from edgekd.learn.settings import Term
from edgekd.learn.settings import Training
from edgekd.learn.settings import WeightsAllow
from edgekd.learn.signals import Side
from edgekd.learn.signals import find_signal
from edgekd.learn.signals import needs
from edgekd.learn.signals import reads_layers
from edgekd.learn.view_settings import Views
from edgekd.named_member import NamedMember
from edgekd.recipe.target import AUTO
from edgekd.recipe.target import Profiles
from edgekd.recipe.target import require_distinct
from edgekd.settings import Count
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.settings import omit_default
from edgekd.stages import factorize
from edgekd.stages import prune


def _from_labels(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    for term in terms:
        if any(
            find_signal(name).source != "labels" for name in needs(term.loss.find_member(LOSSES))
        ):
            raise ValueError(
                f"got {term.loss.name!r}, which compares with a teacher, want a loss on labels; "
                "it belongs in learn.0.losses"
            )
    return terms


def _from_answers(terms: tuple[Term, ...]) -> tuple[Term, ...]:
    for term in terms:
        if term_reads_layers(term):
            raise ValueError(
                f"got {term.loss.name!r}, which reads layers, want a loss on answers: a quantized "
                "student is traced, its layers are gone"
            )
    return terms


def term_reads_layers(term: Term, side: Side | None = None) -> bool:
    """Return whether a loss reads layers: of the student, of the teacher, or of either."""
    return reads_layers(term.loss.find_member(LOSSES), side)


def loss_needs_one_class(term: Term) -> bool:
    """Return whether a loss needs one class a sample, which views that mix samples do not have."""
    return "label_indices" in needs(term.loss.find_member(LOSSES))


LabelLosses = Annotated[OptionalLosses, AfterValidator(_from_labels)]
AnswerLosses = Annotated[OptionalLosses, AfterValidator(_from_answers)]
Beginner = TypeVar("Beginner", "Teacher", "Student")
ClassNames = Annotated[tuple[str, ...], Field(strict=False), AfterValidator(require_distinct)]


def _require_one_beginning(who: Beginner) -> Beginner:
    if who.weights is not None and who.model.pretrained:
        raise ValueError("got weights beside a model that is pretrained, want one of them")
    return who


def _with_file(value: Any) -> Any:
    """What a recipe says of a model, its file as its weights too where it is a file that holds them."""
    if not isinstance(value, dict) or "model" not in value:
        return value
    try:
        model = NamedMember.parse(value["model"], MODELS, "model")
    except ValueError:  # told where the model is
        return value
    if MODELS[model.name].names != "file":
        return value
    file = model.arguments.get("reference")
    if value.get("weights") not in (None, file):
        raise ValueError(f"got weights beside {model}, want them left out: the file holds its own")
    return {**value, "weights": file} if file else value


class TeacherTexts(Settings):
    """How a teacher reads the data's texts where its tokenizer is another than the student's."""

    tokenizer: Annotated[str, Field(min_length=1, max_length=1000)]
    """Its tokenizer.json, or the folder it lies in, found as the data's is; ``own`` is that of its pretrained model, ``bytes``
    takes the bytes of a text for its tokens."""
    longest: Count | None = omit_default(None)
    """Its tokens of the longest text; None is the number that the data's source has. A corpus is cut as the student's."""
    align: Literal["text", "position"] = omit_default("text")
    """Of a language model, which of its tokens answers to which of the student's: the one behind which both have read the
    same text, or the one of the same number (Boizard et al. 2024)."""


class Teacher(Settings):
    """The large model: trained here, or loaded and checked on the validation split."""

    _file = model_validator(mode="before")(_with_file)

    model: ModelName
    """A builder of `edgekd models`; of timm and transformers with ``pretrained: true`` it begins with published weights."""
    input: Input | None = omit_default(None)
    """The images it takes, where they are not the data's: they are resampled for it."""
    classes: Annotated[tuple[str, ...], Field(strict=False)] = omit_default(())
    """Names of its classes in its own order, where the weights have another than the data."""
    weights: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """Trained weights (safetensors, or a .pt, .pth, .ckpt or .bin that torch saved), relative to the recipe;
    None trains. With `train` beside them they are fine-tuned, with a head for the data's classes."""
    allow: WeightsAllow = omit_default(())
    """Whether the weights may have tensors that the model lacks (``extra``: an auxiliary head), or lack some of the
    model's (``missing``: those stay as they are initialised)."""
    texts: TeacherTexts | None = omit_default(None)
    """How it reads texts, where its tokenizer is another than the data's."""
    losses: LabelLosses = BY_TASK
    """What it is trained on; where it is left out, what the task says that labels teach."""
    train: Training | None = None
    """How it is trained; where it is left out, weights stay as they are, and without weights it is trained as usual."""
    views: Views | None = None
    """What it sees in its own training; None is what its student will see."""
    only: ClassNames = omit_default(())
    """Names of the classes that are learned; none is all."""
    waypoints: Annotated[Whole, Field(le=64)] = omit_default(0)
    """How many states on the way of its training are kept, for scheme ``route``."""
    sharded: Annotated[bool, Field(exclude=True)] = False
    """Whether the ranks of a launch share out its parameters while it answers, each a share, gathered block by block;
    its answers are the same. Without a launcher nothing is shared out."""

    _one = model_validator(mode="after")(_require_one_beginning)

    @property
    def has_weights(self) -> bool:
        """Whether it begins with weights that are loaded: a file's, or published ones."""
        return self.weights is not None or self.model.pretrained

    @property
    def training(self) -> Training:
        """How it is trained, if it is."""
        return self.train or Training()

    @property
    def is_file(self) -> bool:
        """Whether it is a user's own file, graph and weights."""
        return MODELS[self.model.name].names == "file"

    @property
    def is_trained(self) -> bool:
        """Whether it is trained here, from new weights or from those that it begins with."""
        return not self.has_weights or self.train is not None


class Student(Settings):
    """The small model, and how it is trained."""

    _file = model_validator(mode="before")(_with_file)

    model: ModelName
    """A builder of `edgekd models`; of timm and transformers with ``pretrained: true`` it begins with published weights."""
    input: Input | None = omit_default(None)
    """The images it takes, where they are not the data's: fewer pixels or channels than its teacher's."""
    norm: Literal["batch", "group"] = omit_default("batch")
    """Group norms may stand where the model has batch norms; privacy wants them."""
    classes: Annotated[tuple[str, ...], Field(strict=False)] = omit_default(())
    """Names of its classes in its own order, where the weights have another than the data."""
    weights: Annotated[str, Field(min_length=1, max_length=1000)] | None = omit_default(None)
    """Trained weights that it begins with, as a teacher's; `learn` then goes on from them, or may be left out."""
    allow: WeightsAllow = omit_default(())
    """Whether the weights may have tensors that the model lacks (``extra``), or lack some of the model's (``missing``)."""
    losses: LabelLosses = BY_TASK
    """What its control, the same student without a teacher, is trained on; where it is left out, what the task says."""
    train: Training = Training()
    """How the student and its control are trained."""

    _one = model_validator(mode="after")(_require_one_beginning)

    @property
    def has_weights(self) -> bool:
        """Whether it begins with weights that are loaded: a file's, or published ones."""
        return self.weights is not None or self.model.pretrained

    @property
    def is_file(self) -> bool:
        """Whether it is a user's own file, graph and weights."""
        return MODELS[self.model.name].names == "file"


class TaughtStep(Settings):
    """A step in which a student learns from teachers."""

    losses: Losses = BY_TASK
    """The terms that are summed; where it is left out, those that `edgekd tasks NAME` shows."""
    knowledge: Literal["auto", "stored", "online"] = "auto"
    """The teacher answers every view once, beforehand; or every batch anew. Auto stores wherever answers
    are all that is compared."""
    train: Training | None = None
    """How it is trained; None is as the student says."""


THE_TEACHER = ("teacher",)
"""Who teaches where a step does not say."""
THE_STUDENT = ("student",)
"""The student as it was loaded: who teaches what was made smaller of it, where there is no teacher."""


class DistilStep(TaughtStep):
    """The student learns from its teachers, or by itself."""

    step: Literal["distil"]
    scheme: SchemeName = OFFLINE
    """Who teaches whom: a name of `edgekd methods`."""
    teachers: Annotated[
        tuple[str, ...],
        Field(min_length=1, max_length=16, strict=False),
        AfterValidator(require_distinct),
    ] = THE_TEACHER
    """Who teaches: ``teacher``, one of `teachers`, or an earlier step of learning (``distil-1``)."""
    only: ClassNames = omit_default(())
    """Names of the classes that are learned; none is all."""
    inherit: InheritSettings | None = None
    """Whose parameters it begins with; it then does not go on from the step before."""
    private: PrivacySettings | None = None
    """Differential privacy of the samples; needs ``edgekd[private]``."""
    combine: CombineSettings = CombineSettings()
    """How several teachers become one."""
    model: ModelName | None = None
    """Which model learns here; None is the student's. An assistant is larger."""
    start: Literal["before", "fresh"] = "before"
    """Whether it goes on from the step before or starts afresh, as the first step does."""


class FactorizeStep(factorize.FactorizeSettings):
    """Layers that are faster as a product of smaller ones become that."""

    step: Literal["factorize"]
    recover: TaughtStep | None = None
    """How the student learns again what it lost; None is not at all."""


class PruneStep(prune.PruneSettings):
    """Whole channels go."""

    step: Literal["prune"]
    recover: TaughtStep | None = None
    """How the student learns again what it lost; None is not at all."""


class QuantizeStep(QuantizeSettings):
    """The student learns to answer as well with its weights and activations in 8 bits or less."""

    step: Literal["quantize"]
    losses: AnswerLosses = BY_TASK
    """The terms that are summed. Labels are not needed."""
    profiles: Profiles = AUTO
    """Which Q/DQ files are written; auto is those of the targets."""

    _once = field_validator("teachers")(require_distinct)


LearnStep = Annotated[
    DistilStep | FactorizeStep | PruneStep | QuantizeStep, Field(discriminator="step")
]
"""One step of learning, told apart by ``step``."""

"""What a recipe may say of views, losses and training. Imports no torch."""

from __future__ import annotations

from typing import Annotated
from typing import Any
from typing import Literal
from typing import Self

from pydantic import BeforeValidator
from pydantic import Field
from pydantic import model_validator

from edgekd.learn import signals
from edgekd.learn.layer_settings import Layers
from edgekd.learn.layer_settings import parse_layers
from edgekd.learn.losses import LOSSES
from edgekd.learn.optimizers import OptimizerSettings
from edgekd.learn.optimizers import add_own_rate
from edgekd.learn.optimizers import parse_optimizer
from edgekd.learn.optimizers import require_own_settings
from edgekd.named_member import NamedMember
from edgekd.settings import Count
from edgekd.settings import Fraction
from edgekd.settings import NonNegative
from edgekd.settings import Positive
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.settings import omit_default
from edgekd.table import Member

AUTO: Literal["auto"] = "auto"
"""For a weight: the authors', with their ramp, for as many classes as the data have."""
Weight = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
Factor = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Freeze = Whole | Annotated[tuple[str, ...], Field(min_length=1)]
Temperature = Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]
Schedule = Literal["one-cycle", "cosine", "step", "constant"]
TrainingPrecision = Literal["fp32", "bf16", "fp16"]


def _loss(value: Any) -> Any:
    if isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, dict) or "loss" in value:
        return value
    own = {key: item for key, item in value.items() if key in Term.model_fields}
    rest = {key: item for key, item in value.items() if key not in own}
    named = _bound(rest)
    if own.get("weight", AUTO) == AUTO:
        own["weight"] = _usual_weight(named.find_member(LOSSES))
    return {**own, "loss": named}


def _usual_weight(member: Member) -> float | str:
    """A number where no data change it."""
    return AUTO if member.classes or member.ramp else member.weight


def _bound(value: Any) -> NamedMember:
    named = NamedMember.parse(value, LOSSES, "loss")
    signals.require_usable(named.name, named.find_member(LOSSES), Term.model_fields)
    return named


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class Ramp(Settings):
    """A weight that changes over the first epochs."""

    start: Factor = 0.0
    """What the weight is multiplied by at the beginning."""
    end: Factor = 1.0
    """What it is multiplied by from `epochs` on."""
    epochs: Positive
    """How long the way takes."""
    shape: Literal["linear", "cosine"] = "linear"
    """How it goes."""


class Term(Settings):
    """One summand of the training loss: ``{name: kd, weight: 0.9, temperature: 4.0}``."""

    loss: Annotated[NamedMember, BeforeValidator(_bound)]
    """Which loss of `edgekd methods`, with its knobs."""
    weight: Weight | Literal["auto"] = 1.0
    """What its value is multiplied by; where nothing is said, or auto, what `edgekd methods NAME` says."""
    ramp: Ramp | None = omit_default(None)
    """How the weight changes over the first epochs."""
    standardize: bool = omit_default(False)
    """Whether logits are compared as z-scores, by mean and spread of each sample (Sun et al. 2024)."""
    output: str = omit_default("")
    """Which output of the model is compared, where a task has several of the kind that the loss takes."""
    labelled_only: bool = omit_default(False)
    """Whether tokens (or samples) of a negative label count for nothing, for losses of language models:
    prompts and padding."""
    all_tokens: bool = omit_default(False)
    """Whether answers are compared at every token that is no padding, not at those alone that have a label: where some are
    masked, at those that are not, too, as DistilBERT was trained (Sanh et al. 2019)."""
    layers: Annotated[Layers, BeforeValidator(parse_layers)] = omit_default("auto")
    """Which layers are compared, for losses that look inside the networks."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        signals.require_words(
            self.loss.name,
            self.loss.find_member(LOSSES),
            layers=self.layers != "auto",
            standardize=self.standardize,
            labelled_only=self.labelled_only,
            all_tokens=self.all_tokens,
        )
        return self


Losses = Annotated[
    tuple[Annotated[Term, BeforeValidator(_loss)], ...],
    Field(min_length=1, strict=False),
]
"""The terms that are summed; each must be computed at every step."""
OptionalLosses = Annotated[tuple[Annotated[Term, BeforeValidator(_loss)], ...], Field(strict=False)]
"""The same, or none: then those that the task names."""
BY_TASK: tuple[Term, ...] = ()


def find_reuse_term(terms: tuple[Term, ...]) -> Term | None:
    """Find the term that gives the student its teacher's classifier; None if there is none."""
    return next((term for term in terms if term.loss.find_member(LOSSES).reuses_classifier), None)


WeightsAllow = Annotated[tuple[Literal["extra", "missing"], ...], Field(strict=False)]
"""What a file of weights may have beside the model's tensors, or lack of them."""


OptimizerName = Annotated[
    Literal["sgd", "adamw"] | OptimizerSettings, BeforeValidator(parse_optimizer)
]
"""An optimizer of `edgekd.learn.optimizers`, by name or with its knobs."""


class Training(Settings):
    """Settings of the training of one model. A setting that does not change the result is left out of keys
    (`exclude`)."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 20
    """Passes over the training split."""
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 128
    """Samples a step, over all ranks; the rest of an epoch that fills no batch is left out."""
    optimizer: OptimizerName = "sgd"
    """Of torch, by name, or a mapping with `name` and its own knobs: ``{name: RMSprop, alpha: 0.9}``."""
    learning_rate: Positive = 0.1
    """The schedule's peak. Where it is left out, an optimizer beside ``sgd`` and ``adamw`` takes torch's own."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """SGD's momentum, AdamW's first beta; of others a knob beside the name."""
    nesterov: bool = omit_default(True)
    """Whether SGD looks ahead. Weights of the literature are mostly found without; plain momentum stays
    stable to about three times the rate."""
    weight_decay: NonNegative = 5e-4
    """L2, decoupled for AdamW; not on biases and normalisation."""
    schedule: Schedule = "one-cycle"
    """Shape of the learning rate over the steps."""
    warmup_epochs: NonNegative | None = None
    """Linear rise from 0; None is 20 % of the epochs for one-cycle, else none."""
    step_at: Annotated[tuple[Fraction, ...], Field(strict=False)] = (0.5, 0.75)
    """Where `step` multiplies the rate by `step_factor`, as fractions of the run."""
    step_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """What `step` multiplies by."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of the averaged weights that are kept instead of the last ones; 0 is off."""
    clip_norm: Positive | None = None
    """Largest norm of the gradient."""
    early_stop_epochs: Count | None = None
    """Stop when the validation score has not risen for this many epochs."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = omit_default(1.0)
    """What a stage's learning rate is of the next stage's; what comes after the last stage learns at the full rate."""
    freeze: Annotated[Freeze, BeforeValidator(_as_tuple)] = omit_default(0)
    """What stays as it is: how many of the first stages, or module paths. Batch norms in it keep their statistics."""
    keep: Literal["last", "best"] = "last"
    """Which weights are kept: the last, or those of the best the validation score."""
    precision: Literal["auto", TrainingPrecision] = "auto"
    """Arithmetic of the forward and backward pass; auto measures once on this machine."""
    channels_last: Literal["auto"] | bool = "auto"
    """Memory order of the images; auto measures once on this machine."""
    compile: Annotated[Literal["auto"] | bool | None, Field(exclude=True)] = None
    """Whether torch compiles the training pass, which rounds otherwise; auto measures once on this machine whether that
    pays over the whole training; None is auto on a GPU if `precision` is, else false. What cannot be compiled is not."""
    class_weights: Literal["balanced"] | dict[str, Positive] | None = omit_default(None)
    """What a class counts in the cross-entropy of labels, by name, others 1; balanced makes rare ones count as much
    as common ones."""
    auxiliary: NonNegative = omit_default(0.0)
    """Weight of the cross-entropy of auxiliary logits, for a network that gives some in training (GoogLeNet:
    0.3); 0 drops them."""
    on_nan: Literal["stop", "rollback"] = "stop"
    """A loss that is no number: stop, or go back to the last checkpoint at half the rate."""
    checkpoint_every_s: Annotated[NonNegative, Field(exclude=True)] = 20.0
    """Longest work a kill can cost, in seconds; 0 keeps a checkpoint at every epoch's end."""
    threads: Count | None = None
    """Threads of torch, which decide the order of sums; None is every core this process may use."""
    workers: Annotated[Whole, Field(exclude=True)] = 0
    """Threads that prepare batches; what is learned does not depend on it."""
    sharded: Annotated[bool, Field(exclude=True)] = False
    """Whether ranks of a launch hold a share each of parameters, gradients and the optimizer's moments, where they can."""

    @model_validator(mode="before")
    @classmethod
    def _use_own_rate(cls, value: Any) -> Any:
        return add_own_rate(value, cls.model_fields["optimizer"].default)

    @model_validator(mode="after")
    def _fits_optimizer(self) -> Self:
        fields = type(self).model_fields
        changed = {k for k, field in fields.items() if getattr(self, k) != field.default}
        require_own_settings(self.optimizer, changed)
        return self


class PrivacySettings(Settings):
    """Differential privacy of the samples a student learns from (DP-SGD)."""

    epsilon: Positive
    """What may be spent, at `delta`."""
    delta: Annotated[float, Field(gt=0, le=1e-2)] = 1e-5
    """The chance that it is more; well below one over the samples."""
    max_norm: Positive = 1.0
    """Largest norm of one sample's gradient."""


class CombineSettings(Settings):
    """The rule by which several teachers become one."""

    rule: Literal["mean-logits", "mean-probabilities", "entropy", "confidence"] = "mean-logits"
    """Their logits' mean; their softened probabilities', all alike, or weighted by how sure each is, or
    by how near to the label."""
    temperature: Temperature = 4.0
    """Of the probabilities; that of the loss."""


InheritRule = Literal["same", "spread", "slice"]
"""Each allows what the one before it does; `edgekd.learn.method.inheritance` says how."""


class InheritSettings(Settings):
    """The weights that a student begins with."""

    teacher: Annotated[str, Field(min_length=1, max_length=64)] = "teacher"
    """Whose parameters: ``teacher``, one of `teachers`, or an earlier step of learning."""
    rule: InheritRule = "slice"
    """Tensors of the same place and shape; or blocks spread over the teacher's deeper stages, too; or
    also the leading channels of wider ones."""
    hold: NonNegative = 0.0
    """Weight of the squared distance to what was inherited; 0 lets it go."""


class Arithmetic(Settings):
    """The arithmetic a training run uses: what `auto` came to."""

    precision: TrainingPrecision
    channels_last: bool
    threads: Count
    compiler: str | None = omit_default(None)
    """What compiles the training pass, with its version; None if it is not compiled."""

    def drop_compiler(self) -> Arithmetic:
        """The same for another network than the one of which compilation was tried: it is not compiled."""
        return self.model_copy(update={"compiler": None})


class ByDepth(Settings):
    """What a training says of the model's stages and modules."""

    layer_decay: float = 1.0
    freeze: Freeze = 0

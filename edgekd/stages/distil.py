"""Stage `distil`: a student learns from labels and from teachers."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Annotated
from typing import Literal

from pydantic import Field

from edgekd import files
from edgekd.learn.loading import load_torch
from edgekd.learn.model_settings import Input
from edgekd.learn.model_settings import ModelName
from edgekd.learn.schemes import OFFLINE
from edgekd.learn.schemes import SchemeName
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import CombineSettings
from edgekd.learn.settings import InheritSettings
from edgekd.learn.settings import Losses
from edgekd.learn.settings import PrivacySettings
from edgekd.learn.settings import Training
from edgekd.learn.view_settings import Views
from edgekd.named_member import NamedMember
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.settings import omit_default
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage

if TYPE_CHECKING:
    from edgekd.learn.assembly.step import DistillationStep
    from edgekd.learn.blueprint import Blueprint
    from edgekd.learn.data.loader import Samples
    from edgekd.learn.privacy.dp_sgd import Privacy


PARTS = ("blueprint", "weights")
"""Of a model: the files that are the same where nothing was taken from it."""


class DistilConfig(Settings):
    """Learner, teachers, losses and training of one distillation."""

    model: ModelName
    losses: Losses
    knowledge: Literal["stored", "online"]
    train: Training
    views: Views
    views_seed: Whole
    norm: Literal["batch", "group"] = omit_default("batch")
    """Group norms may stand where the model has batch norms."""
    input: Input | None = omit_default(None)
    """The images it takes, where they are not the data's."""
    scheme: SchemeName = omit_default(OFFLINE)
    only: Annotated[tuple[str, ...], Field(strict=False)] = omit_default(())
    """Classes that it is trained on, by name; none is all."""
    inherit: InheritSettings | None = omit_default(None)
    """Whose parameters it begins with."""
    private: PrivacySettings | None = omit_default(None)
    """What protects the samples, if anything does."""
    combine: CombineSettings = omit_default(CombineSettings())
    sharded: Annotated[tuple[str, ...], Field(strict=False, exclude=True)] = ()
    """Marks of live teachers whose parameters the ranks share out: empty of the first, ``_2`` of the second."""


def run(config: DistilConfig, given: Given, context: Context) -> Made:
    """Give blueprint.json, weights.safetensors, history.json, score.json; layers.json where a loss reads any,
    or something is trained beside the student.

    With a `start_weights` input the student goes on from there, else it starts afresh; with a
    `start_blueprint`, too, it is the model built by that, with all of its edits. What came as the `whole_blueprint`
    and `whole_weights` has lost nothing: it has nothing to recover and is given as it is.
    """
    load_torch()
    import torch

    from edgekd.learn import arrays
    from edgekd.learn import blueprint
    from edgekd.learn import learner
    from edgekd.learn import weights
    from edgekd.learn.assembly import step
    from edgekd.learn.assembly.own_texts import open_own_texts
    from edgekd.learn.assembly.participants import Participants
    from edgekd.learn.data import classes
    from edgekd.learn.method.teacher import has_knowledge
    from edgekd.learn.training.batches import fit_batch

    if has_lost_nothing(given):
        context.progress.note("it was not made smaller: there is nothing to recover")
        paths = given["start_blueprint"], given["start_weights"]
        model = blueprint.load(*paths, allow_code=context.allow_code)
        return learner.write(model, blueprint.read(paths[0]), [], given, context)
    resolved = Arithmetic.model_validate_json(given["resolved"].read_bytes())
    samples = arrays.open_samples(given, config.views, config.views_seed, config.only)
    if not ("teacher_weights" in given or has_knowledge(given, "knowledge")):
        samples = classes.restrict_labelled(samples)
    training = fit_batch(config.train, len(samples), context.progress.note)
    if training.sharded and (why := explain_whole(config.scheme, config.inherit)):
        context.progress.note(f"sharded: every rank holds the whole student, for {why}")
        training = training.model_copy(update={"sharded": False})
    config = config.model_copy(update={"train": training})
    plan = _plan(config, given, context)
    torch.manual_seed(context.seed)
    model = blueprint.build(plan, allow_code=context.allow_code)
    if "start_weights" in given:
        start = weights.read(given["start_weights"], suffix=".safetensors")
        weights.load_into(model, start, "the step before")
    participants = Participants(
        model,
        plan,
        samples,
        resolved,
        given,
        context.allow_code,
        config.combine,
        sharded=config.sharded,
        note=context.progress.note,
        own_texts=open_own_texts(given, config.views, config.views_seed),
    )
    batch_size = config.train.batch_size
    whole = step.assemble_step(
        participants,
        config.losses,
        config.scheme,
        batch_size,
        config.inherit,
        epochs=training.epochs,
    )
    _tell(config, whole, context)
    history = learner.train(
        whole.student,
        samples,
        whole.scheme,
        whole.connection.terms,
        config.train,
        resolved,
        given,
        context,
        private=_private(config, samples, whole, resolved.precision, context),
    )
    made = learner.write(whole.student, whole.plan, history, given, context)
    if whole.connection.rows or whole.companion_parameters:
        made["layers.json"] = context.folder / "layers.json"
        rows = [row._asdict() for row in whole.connection.rows]
        told = {"layers": rows, "trained_beside": whole.companion_parameters}
        made["layers.json"].write_bytes(files.canonical_json(told))
    return made


def has_lost_nothing(given: Given) -> bool:
    """Return whether a student that was to be made smaller is what it was before."""
    pairs = [(given.get(f"start_{part}"), given.get(f"whole_{part}")) for part in PARTS]
    return all(now and was and now.read_bytes() == was.read_bytes() for now, was in pairs)


def explain_whole(scheme: NamedMember, inherit: InheritSettings | None) -> str:
    """Say why ranks cannot share out a student's parameters, for only a plain pass through it gathers them; empty if
    they can."""
    if scheme.name != OFFLINE.name:
        return f"scheme {scheme.name} may take it apart"
    is_held = inherit is not None and inherit.hold > 0
    return "it is held to what it inherited" if is_held else ""


def _tell(config: DistilConfig, whole: DistillationStep, context: Context) -> None:
    """Note what is inherited, weights that the recipe leaves open, and which layers are compared."""
    from edgekd.learn.method.inheritance import AS_BUILT
    from edgekd.learn.settings import AUTO

    for words, term in zip(config.losses, whole.connection.terms, strict=True):
        if words.weight == AUTO:
            rises = f", from 0 over {term.ramp.epochs:.3g} epochs" if term.ramp else ""
            context.progress.note(f"{term.name}: weight {term.weight:g}{rises}")
    if config.inherit is not None:
        taken = sum(origin != AS_BUILT for origin in whole.inherited.values())
        context.progress.note(
            f"inherits {taken} of {len(whole.inherited)} tensors from {config.inherit.teacher}"
        )
    for row in whole.connection.rows:
        context.progress.note(row.describe())


def _private(
    config: DistilConfig,
    samples: Samples,
    whole: DistillationStep,
    precision: str,
    context: Context,
) -> Privacy | None:
    """The mechanism that spends what the recipe allows; nothing where it says nothing."""
    if config.private is None:
        return None
    from edgekd.learn.privacy import protection

    words = config.private
    found = protection.build_mechanism(words, config.train, samples, whole, precision)
    context.progress.note(
        f"private: epsilon {words.epsilon:g} at delta {words.delta:g} by noise of {found.noise:.3g} times "
        f"the norm {words.max_norm:g}; it holds for this student's weights alone: not for a teacher "
        f"or a control that learned from the same samples, nor once the seed is known"
    )
    return found


def _plan(config: DistilConfig, given: Given, context: Context) -> Blueprint:
    from edgekd.learn import blueprint
    from edgekd.learn import learner

    if "start_blueprint" in given:
        return blueprint.read(given["start_blueprint"])
    return learner.make_blueprint(
        config.model,
        given["data"],
        config.input,
        norm=config.norm,
        allow_code=context.allow_code,
    )


STAGE = Stage(
    "distil",
    DistilConfig,
    run,
    packages=("torch", "numpy", "scipy", "lightning-fabric", "safetensors"),
)

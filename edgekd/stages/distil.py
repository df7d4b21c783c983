"""Stage `distil`: a student learns from labels and from teachers."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Literal

from pydantic import BeforeValidator
from pydantic import Field

from edgekd import files
from edgekd.errors import BudgetMissed
from edgekd.errors import InputError
from edgekd.learn.schemes import SCHEMES
from edgekd.learn.settings import Combine
from edgekd.learn.settings import Inherit
from edgekd.learn.settings import Input
from edgekd.learn.settings import Losses
from edgekd.learn.settings import ModelName
from edgekd.learn.settings import Private
from edgekd.learn.settings import Resolved
from edgekd.learn.settings import Training
from edgekd.learn.settings import Views
from edgekd.learn.settings import reusing
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.settings import unsaid
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.table import Named

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from edgekd.learn.blueprint import Blueprint
    from edgekd.learn.cast import Cast
    from edgekd.learn.connection import Connected
    from edgekd.learn.data.loader import Samples
    from edgekd.learn.privacy import Privacy
    from edgekd.learn.scheme import Scheme

OFFLINE = Named.parse("offline", SCHEMES, "scheme")
SchemeName = Annotated[Named, BeforeValidator(lambda value: Named.parse(value, SCHEMES, "scheme"))]
"""Who teaches whom, by name or with its knobs."""


class Config(Settings):
    """Who learns, from what, how."""

    model: ModelName
    losses: Losses
    knowledge: Literal["stored", "online"]
    train: Training
    views: Views
    views_seed: Whole
    norm: Literal["batch", "group"] = unsaid("batch")
    """Group norms may stand where the model has batch norms."""
    input: Input | None = unsaid(None)
    """The images it takes, where they are not the data's."""
    scheme: SchemeName = unsaid(OFFLINE)
    only: Annotated[tuple[str, ...], Field(strict=False)] = unsaid(())
    """Classes that it is trained on, by name; none is all."""
    inherit: Inherit | None = unsaid(None)
    """Whose parameters it begins with."""
    ablated: Annotated[bool, Field(exclude=True)] = False
    """Whether it shows what a loss brings: then it may end at chance."""
    private: Private | None = unsaid(None)
    """What protects the samples, if anything does."""
    combine: Combine = unsaid(Combine())


def run(config: Config, given: Given, context: Context) -> Made:
    """Give blueprint.json, weights.safetensors, history.json, score.json; layers.json where a loss reads any,
    or something is trained beside the student.

    With a `start_weights` input the student goes on from there, else it starts afresh; with a
    `start_blueprint`, too, it is the model built by that, with all of its edits.
    """
    import torch

    from edgekd.learn import arrays
    from edgekd.learn import blueprint
    from edgekd.learn import cast
    from edgekd.learn import classifier
    from edgekd.learn import weights

    resolved = Resolved.model_validate_json(given["resolved"].read_bytes())
    samples = arrays.samples(given, config.views, config.views_seed, config.only)
    plan = _plan(config, given)
    torch.manual_seed(context.seed)
    model = blueprint.build(plan, allow_code=context.allow_code)
    if "start_weights" in given:
        start = weights.read(given["start_weights"], suffix=".safetensors")
        weights.load_into(model, start, "the step before")
    hold = _inherited(config, model, given, context)
    players = cast.Cast(model, plan, samples, resolved, given, context.allow_code, config.combine)
    model, plan = _reusing(config, players)
    connected = _connected(config, model, plan, players, context)
    scheme = hold(connected.around(players.scheme(config.scheme)))
    history = classifier.train(
        model,
        samples,
        scheme,
        connected.terms,
        config.train,
        resolved,
        given,
        context,
        private=_private(config, model, samples, scheme, connected, resolved, context),
    )
    made = classifier.write(model, plan, history, given, context)
    beside = sum(p.numel() for p in scheme.companions.parameters() if p.requires_grad)
    if connected.rows or beside:
        made["layers.json"] = context.folder / "layers.json"
        rows = [row._asdict() for row in connected.rows]
        told = {"layers": rows, "trained_beside": beside}
        made["layers.json"].write_bytes(files.canonical_json(told))
    where = f"{config.model} after distillation"
    if not config.ablated:
        classifier.want_better_than_chance(model, given, where, refuse=BudgetMissed)
    return made


def _inherited(
    config: Config, model: nn.Module, given: Given, context: Context
) -> Callable[[Scheme], Scheme]:
    """Begin the model with a teacher's parameters; gives what holds a scheme to them."""
    if config.inherit is None:
        return lambda scheme: scheme
    from edgekd.learn import blueprint
    from edgekd.learn import inheritance

    teacher = blueprint.load(
        given["inherit_blueprint"], given["inherit_weights"], allow_code=context.allow_code
    )
    try:
        found = inheritance.by_layer(model, teacher, config.inherit.rule)
    except ValueError as error:
        raise InputError(f"inherit: {error}") from error
    taken = [name for name, origin in found.items() if origin != inheritance.AS_BUILT]
    context.progress.note(
        f"inherits {len(taken)} of {len(found)} tensors from {config.inherit.teacher}"
    )
    return functools.partial(inheritance.held, config.inherit.hold, model, found, teacher)


def _private(
    config: Config,
    model: nn.Module,
    samples: Samples,
    scheme: Scheme,
    connected: Connected,
    resolved: Resolved,
    context: Context,
) -> Privacy | None:
    """The mechanism that spends what the recipe allows, over all steps; nothing where it says nothing."""
    said, training = config.private, config.train
    if said is None:
        return None
    from edgekd.learn import accounting
    from edgekd.learn import privacy

    if resolved.precision == "fp16":
        raise InputError("private: got train.precision fp16, want bf16 or fp32")
    steps = training.epochs * (len(samples) // training.batch_size)
    rate = training.batch_size / len(samples)
    try:
        privacy.want_private(model, scheme, connected.terms, samples.classes)
        noise = accounting.noise_for(said.epsilon, said.delta, rate, steps)
    except ValueError as error:
        raise InputError(f"private: {error}") from error
    context.progress.note(
        f"private: epsilon {said.epsilon:g} at delta {said.delta:g} by noise of {noise:.3g} times the "
        f"norm {said.max_norm:g}, {steps} steps"
    )
    return privacy.Privacy(noise, said.max_norm, training.batch_size)


def _plan(config: Config, given: Given) -> Blueprint:
    from edgekd.learn import blueprint
    from edgekd.learn import classifier

    if "start_blueprint" in given:
        return blueprint.read(given["start_blueprint"])
    return classifier.blueprint_for(config.model, given["data"], config.input, norm=config.norm)


def _reusing(config: Config, players: Cast) -> tuple[nn.Module, Blueprint]:
    """The student and its plan; with its teacher's classifier where a loss asks for that."""
    from edgekd.learn import reused

    term = reusing(config.losses)
    if term is not None:
        try:
            players.student, players.plan = reused.through_teacher(
                players.student, players.plan, players.teacher(), term.loss.arguments
            )
        except ValueError as error:
            raise InputError(f"loss {term.loss.name}: {error}") from error
    return players.student, players.plan


def _connected(
    config: Config, model: nn.Module, plan: Blueprint, players: Cast, context: Context
) -> Connected:
    """The losses with the layers they read; the plan is shown."""
    from edgekd.learn.connection import connect
    from edgekd.learn.connection import looks_inside

    connected = connect(
        config.losses,
        model,
        players.teacher() if looks_inside(config.losses, "teacher") else None,
        plan.blank(config.train.batch_size),
        classes=plan.classes,
        samples=len(players.samples),
    )
    for row in connected.rows:
        context.progress.note(row.told())
    return connected


STAGE = Stage(
    "distil",
    1,
    Config,
    run,
    packages=("torch", "numpy", "scipy", "lightning-fabric", "safetensors"),
)

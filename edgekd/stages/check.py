"""Stage `check`: one step of all learning is tried on untrained networks, before hours of training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING
from typing import Annotated

from pydantic import Field

from edgekd import dataset
from edgekd import files
from edgekd.bench import sized_calls
from edgekd.bench.roles import CONTROL
from edgekd.bench.roles import STUDENT
from edgekd.errors import InputError
from edgekd.learn.knowledge_settings import EXACT
from edgekd.learn.knowledge_settings import RecipeKnowledge
from edgekd.learn.loading import load_torch
from edgekd.learn.losses import LOSSES
from edgekd.learn.model_settings import Network
from edgekd.learn.quantize_settings import NumericsSettings
from edgekd.learn.schemes import SchemeName
from edgekd.learn.settings import ByDepth
from edgekd.learn.settings import CombineSettings
from edgekd.learn.settings import InheritSettings
from edgekd.learn.settings import Losses
from edgekd.learn.settings import OptionalLosses
from edgekd.learn.settings import PrivacySettings
from edgekd.learn.settings import Training
from edgekd.learn.view_settings import Views
from edgekd.settings import Count
from edgekd.settings import Settings
from edgekd.settings import Whole
from edgekd.settings import omit_default
from edgekd.stage import Context
from edgekd.stage import Given
from edgekd.stage import Made
from edgekd.stage import Stage
from edgekd.stage import take_own
from edgekd.task import interface_of
from edgekd.tasks import load_task

if TYPE_CHECKING:
    from torch import nn

    from edgekd.learn.assembly.compared_layers import ComparedLayers
    from edgekd.learn.blueprint import Blueprint
    from edgekd.learn.training.storing import Storing


class PlainTraining(Settings):
    """A training on labels, or one whose losses compare answers alone."""

    label: str
    learner: Network
    losses: OptionalLosses
    batch_size: Count
    has_usual_batch: bool = omit_default(False)
    """Whether nobody said how large a batch is: then it is fitted to the samples."""
    only: Annotated[tuple[str, ...], Field(strict=False)] = ()
    auxiliary: bool = False
    """Whether it is trained on auxiliary logits, too."""
    alone: bool = omit_default(True)
    """Whether there is no teacher."""
    by_depth: ByDepth | None = omit_default(None)
    """What is trained at another rate, or not at all."""


class TeachingCase(Settings):
    """One step of learning from teachers."""

    label: str
    student: Network
    teachers: Annotated[tuple[Network, ...], Field(strict=False)]
    parent: Network | None = None
    """Whose parameters are inherited."""
    losses: Losses
    scheme: SchemeName
    train: Training
    combine: CombineSettings = CombineSettings()
    only: Annotated[tuple[str, ...], Field(strict=False)] = ()
    inherit: InheritSettings | None = None
    private: PrivacySettings | None = None
    may_store_layers: bool = omit_default(False)
    """Whether the layers that it reads of its first teacher may be stored."""


class DeployedNetwork(Settings):
    """A network that is exported."""

    label: str
    network: Network
    opset: Count
    numbers: NumericsSettings | None = None


class CheckConfig(Settings):
    """All that learns, and what is deployed of it."""

    views: Views
    seed: Whole
    plain: Annotated[tuple[PlainTraining, ...], Field(strict=False)]
    cases: Annotated[tuple[TeachingCase, ...], Field(strict=False)]
    deployed: Annotated[tuple[DeployedNetwork, ...], Field(strict=False)] = ()
    sizes: dict[str, Annotated[tuple[Count, ...], Field(strict=False)]] = omit_default({})
    """Of free axes, that are to be timed."""
    storage: RecipeKnowledge = omit_default(RecipeKnowledge(**EXACT.model_dump()))
    """How layers would be stored, and what they may take."""


def run(config: CheckConfig, given: Given, context: Context) -> Made:
    """Give plan.json: by step, the layers that its losses will read. Where they may be stored, layers-STEP.json, those of
    the teacher, and storing.json: by step, whether that saves time.

    Raises:
        InputError: names the step, what it cannot do, and what it wants.
    """
    load_torch()
    from edgekd.learn import arithmetic
    from edgekd.learn import deployment

    _require_sizes(config, given, context)
    total, done = sum(map(len, (config.plain, config.deployed, config.cases))), count()
    for case in config.plain:
        context.progress.update(next(done), total, f"{case.label}: losses")
        with _named(STUDENT if case.label == CONTROL else case.label):  # the one a recipe has
            _want_plain(config, case, given, context)
    for one in config.deployed:
        context.progress.update(next(done), total, f"{one.label}: export")
        # of two or three samples: more threads would only wait for one another
        with _named(one.label), arithmetic.deterministic_torch(context.seed, 1):
            plan, model = _built(one.network, given, context)
            deployment.require_deployable(model, plan, opset=one.opset, numbers=one.numbers)
    found, storing, made = {}, {}, {}
    for each in config.cases:
        context.progress.update(next(done), total, f"{each.label}: one step")
        with _named(each.label):
            rows, stored = _tried(config, each, given, context)
        found[each.label] = [row._asdict() for row in rows]
        if stored is not None:
            made[layers_file(each.label)] = files.canonical_json(stored.layers.describe())
            storing[each.label] = stored.choice.describe()
    made |= {STORING: files.pretty_json(storing)} if storing else {}
    made["plan.json"] = files.pretty_json(found)
    for name, data in made.items():
        (context.folder / name).write_bytes(data)
    return {name: context.folder / name for name in made}


STORING = "storing.json"
"""By step, what storing its teacher's layers costs, what computing them anew does, and which is chosen."""


def layers_file(label: str) -> str:
    """The file that lists the layers which a step of that label reads of its first teacher."""
    return f"layers-{label}.json"


def _require_sizes(config: CheckConfig, given: Given, context: Context) -> None:
    """Raises InputError if the data have no sample of a size that is to be timed."""
    data = dataset.read(given["data"])
    axes = interface_of(load_task(data.task, allow_code=context.allow_code), data).axes
    decoding = sized_calls.list_decoding_axes(axes, data.targets)
    fault = sized_calls.find_fault(config.sizes, (*axes, *decoding))
    if fault is not None:
        key = ".".join(map(str, ("measure", "sizes", *fault[0])))
        raise InputError(f"{key}: {fault[1]}")


@contextmanager
def _named(label: str) -> Iterator[None]:
    """What goes wrong within is the recipe's, and is told with the step's name."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{label}: {error}", hint=error.hint) from error
    except (ValueError, RuntimeError, OverflowError, MemoryError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{label}: one step was tried on untrained networks: {first}") from error


def _want_plain(config: CheckConfig, case: PlainTraining, given: Given, context: Context) -> None:
    from edgekd.learn import arithmetic
    from edgekd.learn import arrays
    from edgekd.learn.assembly import connection
    from edgekd.learn.assembly.step import DistillationStep
    from edgekd.learn.data import classes
    from edgekd.learn.method import outputs
    from edgekd.learn.schemes.labels_only import learn_from_labels
    from edgekd.learn.settings import Arithmetic
    from edgekd.learn.task_losses import find_label_terms
    from edgekd.learn.task_losses import find_soft_terms
    from edgekd.learn.training import rehearsal
    from edgekd.learn.training.batches import fit_batch
    from edgekd.learn.training.batches import require_full_batch
    from edgekd.learn.training.depth import plan_rates

    plan, model = _built(case.learner, given, context)
    if case.auxiliary:
        outputs.require_auxiliary(model, plan.blank(2))
    if case.by_depth is not None:
        plan_rates(model, Training(**dict(case.by_depth)), plan.blank(2))
    read = take_own(given, case.learner.reads)
    samples = arrays.open_samples(read, config.views, config.seed, case.only)
    samples = classes.restrict_labelled(samples) if case.alone else samples
    batch = Training() if case.has_usual_batch else Training(batch_size=case.batch_size)
    batch_size = fit_batch(batch, len(samples)).batch_size
    require_full_batch(batch_size, len(samples))
    task = load_task(samples.dataset.task, allow_code=context.allow_code)
    terms = (find_label_terms if case.alone else find_soft_terms)(case.losses, task)
    count, allow = len(samples), context.allow_code
    connected = connection.connect_outputs(
        terms, batch_size, samples=count, interface=plan.interface, allow_code=allow
    )
    if case.alone and not all(term.loss.find_member(LOSSES).built_in for term in terms):
        with arithmetic.deterministic_torch(context.seed, 1):
            whole = DistillationStep(
                model, plan, connected, connected.add_to_scheme(learn_from_labels()), {}
            )
            training = Training(batch_size=batch_size)
            resolved = Arithmetic(precision="fp32", channels_last=False, threads=1)
            rehearsal.rehearse_step(whole, samples, training, resolved)


def _tried(
    config: CheckConfig, case: TeachingCase, given: Given, context: Context
) -> tuple[tuple[ComparedLayers, ...], Storing | None]:
    import torch

    from edgekd.learn import arithmetic
    from edgekd.learn import arrays
    from edgekd.learn.assembly import step
    from edgekd.learn.assembly.own_texts import open_own_texts
    from edgekd.learn.assembly.participants import PARENT
    from edgekd.learn.assembly.participants import Participants
    from edgekd.learn.privacy import protection
    from edgekd.learn.settings import Arithmetic
    from edgekd.learn.training import rehearsal
    from edgekd.learn.training.batches import fit_batch
    from edgekd.learn.training.batches import require_full_batch
    from edgekd.learn.training.depth import plan_rates
    from edgekd.learn.training.storing import plan_storing

    samples = arrays.open_samples(given, config.views, config.seed, case.only)
    case = case.model_copy(update={"train": fit_batch(case.train, len(samples))})
    require_full_batch(case.train.batch_size, len(samples))
    resolved = Arithmetic(precision="fp32", channels_last=False, threads=torch.get_num_threads())
    with arithmetic.deterministic_torch(context.seed, resolved.threads):
        plan, student = _built(case.student, given, context)
        plan_rates(student, case.train, plan.blank(2))
        marks = ["", *(f"_{number}" for number in range(2, len(case.teachers) + 1))]
        others = dict(zip(marks, case.teachers, strict=False))
        if case.parent is not None:
            others[PARENT] = case.parent
        networks = {mark: _built(who, given, context)[1] for mark, who in others.items()}
        readers = [who.reads for who in case.teachers]
        allow, combine = context.allow_code, case.combine
        participants = Participants(student, plan, samples, resolved, {}, allow, combine, networks)
        participants.own_texts = open_own_texts(given, config.views, config.seed, readers)
        whole = step.assemble_step(
            participants, case.losses, case.scheme, case.train.batch_size, case.inherit
        )
        if case.private is not None:
            protection.build_mechanism(
                case.private, case.train, samples, whole, case.train.precision
            )
        rehearsal.rehearse_step(whole, samples, case.train, resolved)
        stored = None
        if case.may_store_layers:
            stored = plan_storing(
                whole,
                participants.teacher(),
                samples,
                case.train,
                config.storage,
                context.folder,
            )
    return whole.connection.rows, stored


def _built(who: Network, given: Given, context: Context) -> tuple[Blueprint, nn.Module]:
    from edgekd.learn import blueprint
    from edgekd.learn import learner

    plan = learner.make_blueprint(
        who.model,
        take_own(given, who.reads)["data"],
        who.input,
        who.classes,
        norm=who.norm,
        allow_code=context.allow_code,
    )
    return plan, blueprint.build(plan, allow_code=context.allow_code)


STAGE = Stage("check", CheckConfig, run, packages=("torch", "onnx", "onnxscript"))

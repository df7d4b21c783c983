"""One model built, trained and judged from a recipe's words: what the stages that learn share."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from torch import nn

from edgekd import dataset
from edgekd import files
from edgekd import units
from edgekd.errors import InputError
from edgekd.interface import image_classifier
from edgekd.learn import arithmetic
from edgekd.learn import blueprint
from edgekd.learn import chance
from edgekd.learn import complexity
from edgekd.learn import weights
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.class_order import class_order
from edgekd.learn.data import kinds
from edgekd.learn.data.loader import Samples
from edgekd.learn.evaluation import EvaluationSplit
from edgekd.learn.evaluation import read_split
from edgekd.learn.method import outputs as model_outputs
from edgekd.learn.method.class_weights import weigh_classes
from edgekd.learn.method.loss import BoundTerm
from edgekd.learn.method.missing_labels import pass_over_unlabelled
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.model_inputs import make_zeros
from edgekd.learn.model_settings import Input
from edgekd.learn.model_settings import ModelChoice
from edgekd.learn.parallel import ranks
from edgekd.learn.privacy.dp_sgd import Privacy
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import Training
from edgekd.learn.training import checkpoint
from edgekd.learn.training.depth import plan_rates
from edgekd.learn.training.fit import fit
from edgekd.learn.training.run import TrainingRun
from edgekd.named_member import NamedMember
from edgekd.stage import Context
from edgekd.task import figure_text
from edgekd.task import interface_of
from edgekd.task import metric_values
from edgekd.task import value_text
from edgekd.tasks import load_task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def make_blueprint(
    model: NamedMember,
    data: Path,
    seen: Input | None = None,
    names: Sequence[str] = (),
    *,
    norm: str = "batch",
    allow_code: bool = False,
) -> Blueprint:
    """The plan of `model` for the data's inputs and the task's outputs.

    Args:
        model: a builder.
        data: data.json.
        seen: the images it takes, if they are not the data's.
        names: its classes in its own order, if they are not the data's.
        norm: ``group`` puts group norms where it has batch norms.
        allow_code: whether a user's own task may run.

    Raises:
        InputError: if it lacks a class of the data, or `seen` and `names` are for other data.
    """
    found = dataset.read(data)
    task = load_task(found.task, allow_code=allow_code)
    plan = Blueprint(
        builder=model.name, arguments=model.arguments, interface=interface_of(task, found)
    )
    if seen is None and isinstance(model, ModelChoice):
        seen = _find_expected(model, found)
    norms: tuple[dict[str, Any], ...] = ({"name": "group-norm"},) if norm == "group" else ()
    if seen is None and not names:
        return plan.model_copy(update={"edits": norms}) if norms else plan
    try:
        (_, image), (_, label) = kinds.find_image(found), kinds.find_label(found)
    except ValueError as error:
        raise InputError(f"{model.name}: input, classes: {error}") from error
    seen = seen or Input()
    size = {
        "channels": seen.channels or (len(seen.select) if seen.select else image.channels),
        "height": seen.height or image.height,
        "width": seen.width or image.width,
    }
    inside = image_classifier(classes=len(names) or len(label.names), **size)
    edit = {"name": "adapt", **size, "select": seen.select, "order": _order(label.names, names)}
    said = {key: value for key, value in edit.items() if value is not None}
    return plan.model_copy(update={"inside": inside, "edits": (said, *norms)})


def _find_expected(model: ModelChoice, data: dataset.Dataset) -> Input | None:
    """The images that pretrained weights want, where the data's are others."""
    expected = model.expects
    if expected is None:
        return None
    try:
        _, image = kinds.find_image(data)
    except ValueError:
        return None
    said = expected.model_dump(exclude_none=True)
    return expected if any(getattr(image, name) != value for name, value in said.items()) else None


def _order(classes: tuple[str, ...], names: Sequence[str]) -> tuple[int, ...] | None:
    if not names:
        return None
    try:
        return class_order(classes, names)
    except ValueError as error:
        raise InputError(f"classes: {error}", hint=weights.FINE_TUNING_HINT) from error


def train(
    model: nn.Module,
    samples: Samples,
    scheme: Scheme,
    terms: Sequence[BoundTerm],
    training: Training,
    resolved: Arithmetic,
    given: Mapping[str, Path],
    context: Context,
    scored_in: str | None = None,
    waypoints: int = 0,
    private: Privacy | None = None,
) -> list[dict[str, float]]:
    """Fit `model` in place and return its history.

    After every epoch it is scored on the validation split, in `scored_in` or else in the arithmetic
    of the training. Of `waypoints` states on the way the weights are left in ``context.folder``. With
    `private` its steps tell little of any one sample.
    """
    validation = read_split(given, allow_code=context.allow_code)
    model.to(arithmetic.choose_device())
    if training.auxiliary:
        scheme = model_outputs.add_auxiliary_loss(scheme, model, training.auxiliary)
    if training.class_weights is not None:
        terms = weigh_classes(terms, training.class_weights, samples)
    terms = pass_over_unlabelled(terms, samples)
    blank = make_zeros(interface_of(validation.task, validation.dataset), 2)
    run = TrainingRun(
        model=model,
        samples=samples,
        terms=terms,
        scheme=scheme,
        training=training,
        resolved=resolved,
        seed=context.seed,
        checkpoints=context.checkpoints,
        progress=context.progress,
        score=functools.partial(validation.score, precision=scored_in or resolved.precision),
        better=validation.task.score.better,
        waypoints=waypoints,
        private=private,
        rates=plan_rates(model, training, blank),
    )
    history = fit(run)
    if ranks.rank():
        return history
    for number in range(1, waypoints + 1):
        passed = checkpoint.strip_prefix(str(number), run.passed)
        weights.write(passed, context.folder / waypoint_file(number))
    return history


def waypoint_file(number: int) -> str:
    """The file with the weights of a state on the way, from 1."""
    return f"waypoint-{number}.safetensors"


def write(
    model: nn.Module,
    plan: Blueprint,
    history: list[dict[str, float]],
    given: Mapping[str, Path],
    context: Context,
    rows: Mapping[str, NDArray[np.float64]] | None = None,
) -> dict[str, Path]:
    """Save a model with its history and its float32 score on the validation split; warn if that is near chance.

    Args:
        model: a finished one.
        plan: what builds it.
        history: of its training, a row an epoch.
        given: the stage's inputs.
        context: where to write and what to tell.
        rows: of every metric on the validation split in float32, where they are known.

    Returns:
        The files by name; none on ranks beside the first, which writes what all have learned.
    """
    if ranks.rank():
        return {}
    validation = read_split(given, allow_code=context.allow_code)
    task, targets = validation.task, validation.targets
    rows = validation.judge(model) if rows is None else rows
    standing = chance.find_standing(task, rows, targets, validation.dataset)
    made = blueprint.save(model, plan, context.folder)
    values = metric_values(task, rows)
    score: dict[str, Any] = {
        "score": values[task.score.name],
        "metrics": values,
        "scales": [each.scale._asdict() for each in task.metrics if each.name in rows],
        "near_chance": _near_chance(standing) if standing.is_near_chance else "",
        "parameters": complexity.count_parameters(model),
        "macs": complexity.count_macs(model, plan),
    }
    for name, value in (("history.json", history), ("score.json", score)):
        made[name] = context.folder / name
        made[name].write_bytes(files.canonical_json(value))
    reached = figure_text(task.score, values[task.score.name])
    parameters = units.count_text(score["parameters"])
    context.progress.note(f"{plan.builder}: {reached} on validation, {parameters} parameters")
    if standing.is_near_chance:
        context.progress.note(f"warning: {plan.builder}: {_near_chance(standing)}")
    return made


def require_better_than_chance(
    model: nn.Module,
    rows: Mapping[str, NDArray[np.float64]],
    validation: EvaluationSplit,
    where: str,
) -> None:
    """Stop at loaded weights that do not know these inputs, with the likely cause.

    Args:
        model: what they were loaded into.
        rows: of every metric of its outputs on the validation split.
        validation: that split.
        where: the file, for the message.

    Raises:
        InputError: if it is near chance on the validation split.
    """
    task, targets, found = validation.task, validation.targets, validation.dataset
    standing = chance.find_standing(task, rows, targets, found)
    if not standing.is_near_chance:
        return
    causes = "labels in another order, other preprocessing, or other weights"
    if task.explain_chance is not None:
        causes = task.explain_chance(validation.outputs(model), targets, found) or causes
    for name, field in found.inputs.items():
        for words, other in field.alternatives().items():
            inputs = {**found.inputs, name: other}
            changed = validation._replace(dataset=dataclasses.replace(found, inputs=inputs))
            seen = chance.find_standing(task, changed.judge(model), targets, found)
            if seen.skill >= chance.EXPLAINED:
                reached = figure_text(seen.metric, seen.value)
                causes = f"it wants other preprocessing: with {words} it reaches {reached}"
    raise InputError(f"{where}: {_near_chance(standing)}", hint=f"likely: {causes}")


def _near_chance(standing: chance.Standing) -> str:
    metric = standing.metric
    stands = "worse than" if standing.skill < -chance.MARGIN else "near"
    return (
        f"its {metric.name} on validation is {value_text(metric, standing.value)}, "
        f"{stands} chance, which is {value_text(metric, standing.chance)}"
    )

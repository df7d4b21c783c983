"""One classifier trained from a recipe's words: shared by teacher, control and distil."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from torch import nn

from edgekd import files
from edgekd import units
from edgekd.errors import InputError
from edgekd.interface import image_classifier
from edgekd.learn import answers
from edgekd.learn import arithmetic
from edgekd.learn import arrays
from edgekd.learn import blueprint
from edgekd.learn import chance
from edgekd.learn import complexity
from edgekd.learn import weights
from edgekd.learn.arrays import Described
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.class_order import class_order
from edgekd.learn.data.loader import Samples
from edgekd.learn.method import outputs
from edgekd.learn.method.loss import BoundTerm
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.privacy.dp_sgd import Privacy
from edgekd.learn.settings import Input
from edgekd.learn.settings import Resolved
from edgekd.learn.settings import Training
from edgekd.learn.training import checkpoint
from edgekd.learn.training.fit import Run
from edgekd.learn.training.fit import fit
from edgekd.stage import Context
from edgekd.table import Named
from edgekd.tasks import classification

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Answered = tuple[NDArray[np.float32], NDArray[np.int64]]


def blueprint_for(
    model: Named,
    data: Path,
    seen: Input | None = None,
    names: Sequence[str] = (),
    *,
    norm: str = "batch",
) -> Blueprint:
    """The plan of `model` for the classes and image size of the data.

    Args:
        model: a builder.
        data: data.json.
        seen: the images it takes, if they are not the data's.
        names: its classes in its own order, if they are not the data's.
        norm: ``group`` puts group norms where it has batch norms.

    Raises:
        InputError: if it lacks a class of the data.
    """
    about = arrays.described(data)
    pixels = about.preprocessing
    own = {"channels": pixels.channels, "height": pixels.height, "width": pixels.width}
    interface = image_classifier(classes=len(about.classes), **own)
    plan = Blueprint(builder=model.name, arguments=model.arguments, interface=interface)
    norms: tuple[dict[str, Any], ...] = ({"name": "group-norm"},) if norm == "group" else ()
    if seen is None and not names:
        return plan.model_copy(update={"edits": norms}) if norms else plan
    seen = seen or Input()
    size = {
        "channels": seen.channels or (len(seen.select) if seen.select else pixels.channels),
        "height": seen.height or pixels.height,
        "width": seen.width or pixels.width,
    }
    inside = image_classifier(classes=len(names) or len(about.classes), **size)
    edit = {"name": "adapt", **size, "select": seen.select, "order": _order(about, names)}
    said = {key: value for key, value in edit.items() if value is not None}
    return plan.model_copy(update={"inside": inside, "edits": (said, *norms)})


def _order(about: Described, names: Sequence[str]) -> tuple[int, ...] | None:
    if not names:
        return None
    try:
        return class_order(about.classes, names)
    except ValueError as error:
        raise InputError(f"classes: {error}") from error


def train(
    model: nn.Module,
    samples: Samples,
    scheme: Scheme,
    terms: Sequence[BoundTerm],
    training: Training,
    resolved: Resolved,
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
    validation = arrays.part(given, "validation")
    model.to(arithmetic.device())
    if training.auxiliary:
        scheme = outputs.add_auxiliary_loss(scheme, model, training.auxiliary)
    run = Run(
        model=model,
        samples=samples,
        terms=tuple(terms),
        scheme=scheme,
        training=training,
        resolved=resolved,
        seed=context.seed,
        checkpoints=context.checkpoints,
        progress=context.progress,
        score=answers.scorer(
            validation.images,
            validation.labels,
            samples.preprocessing,
            scored_in or resolved.precision,
        ),
        waypoints=waypoints,
        private=private,
    )
    history = fit(run)
    for number in range(1, waypoints + 1):
        passed = checkpoint.strip_prefix(str(number), run.passed)
        weights.write(passed, context.folder / waypoint(number))
    return history


def waypoint(number: int) -> str:
    """The file with the weights of a state on the way, from 1."""
    return f"waypoint-{number}.safetensors"


def write(
    model: nn.Module,
    plan: Blueprint,
    history: list[dict[str, float]],
    given: Mapping[str, Path],
    context: Context,
    validated: Answered | None = None,
) -> dict[str, Path]:
    """Save a model with its history and its float32 score on the validation split; warn if that is near chance.

    Args:
        model: a finished one.
        plan: what builds it.
        history: of its training, a row an epoch.
        given: the stage's inputs.
        context: where to write and what to tell.
        validated: its `validation_answers`, where they are known.
    """
    logits, labels = validated or validation_answers(model, given)
    standing = chance.standing(logits, labels)
    made = blueprint.save(model, plan, context.folder)
    score = {
        "validation_accuracy": classification.top1_accuracy(logits, labels),
        "balanced_accuracy": standing.accuracy,
        "near_chance": standing.is_near_chance,
        "parameters": complexity.count_parameters(model),
        "macs": complexity.count_macs(model, plan),
    }
    for name, value in (("history.json", history), ("score.json", score)):
        made[name] = context.folder / name
        made[name].write_bytes(files.canonical_json(value))
    accuracy = units.percent_text(score["validation_accuracy"])
    parameters = units.count_text(score["parameters"])
    context.progress.note(f"{plan.builder}: {accuracy} on validation, {parameters} parameters")
    if standing.is_near_chance:
        context.progress.note(f"warning: {plan.builder}: {_near_chance(standing)}")
    return made


def validation_accuracy(model: nn.Module, given: Mapping[str, Path]) -> float:
    """Top-1 in float32 on the validation split."""
    return classification.top1_accuracy(*validation_answers(model, given))


def validation_answers(model: nn.Module, given: Mapping[str, Path]) -> Answered:
    """Logits [N, C] in float32 on the validation split, and its labels [N]."""
    about, validation = arrays.described(given["data"]), arrays.part(given, "validation")
    return answers.logits(model, validation.images, about.preprocessing), validation.labels


def require_better_than_chance(
    model: nn.Module, validated: Answered, given: Mapping[str, Path], where: str
) -> None:
    """Stop at loaded weights that do not know these inputs, with the likely cause.

    Args:
        model: what they were loaded into.
        validated: its `validation_answers`.
        given: the stage's inputs.
        where: the file, for the message.

    Raises:
        InputError: if its balanced accuracy on the validation split is near chance.
    """
    logits, labels = validated
    standing = chance.standing(logits, labels)
    if not standing.is_near_chance:
        return
    causes = "labels in another order, other preprocessing, or other weights"
    causes = classification.find_renaming(logits, labels) or causes
    images = arrays.part(given, "validation").images
    for name, (scale, shift) in chance.rescalings(images.shape[3]).items():
        other = chance.standing(answers.scaled_logits(model, images, scale, shift), labels)
        if other.gone >= chance.EXPLAINED:
            reached = units.percent_text(other.accuracy)
            causes = f"it wants other preprocessing: with {name} it reaches {reached}"
    raise InputError(f"{where}: {_near_chance(standing)}", hint=f"likely: {causes}")


def _near_chance(standing: chance.Standing) -> str:
    return (
        f"got a balanced accuracy of {units.percent_text(standing.accuracy)} on the validation split, "
        f"near chance, which is {units.percent_text(standing.chance)}"
    )

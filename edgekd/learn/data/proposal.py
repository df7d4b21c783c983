"""Networks, sizes and a training that fit what a data source holds, and minutes on two cores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from edgekd.errors import InputError
from edgekd.learn.data.survey import Survey
from edgekd.tasks import BUILT_IN
from edgekd.tasks import load_task

TEXT_NETWORKS = {
    ("class",): "text-encoder",
    ("classes",): "text-encoder",
    ("tags",): "text-tagger",
    ("pairs",): "text-embedder",
    ("next-tokens", "number"): "text-decoder",
    ("masked-tokens",): "text-filler",
}
"""By the kinds of the targets."""
TEXTS = (("tokens",), ("conversation",))
"""Kinds of the inputs of those."""
MASKED, MASKED_VIEWS = ("masked-tokens",), 8
"""Targets of which every view asks for others, and how many views are proposed; of any other a text has one."""
SMALL_SIDE = 40
"""Up to here an image suits networks whose first layers keep its size."""
KEPT_SHARES = {"validation": 0.9, "test": 0.8}
"""Of the training samples, where a source lacks the split."""
LARGE_BATCH = 8
"""Below it batch norms see too little."""
WANTED_S, MOST_STEPS, MOST_EPOCHS, FEWEST_EPOCHS = 240.0, 2000, 200, 4
"""How long all trainings take together, and within that how far one goes."""
MEASURING_MINUTES = 1.5
FEWEST = 3
"""Samples of a class: one each to learn from, to choose by and to report."""


class Proposal(NamedTuple):
    """What a recipe may say of data that were looked at."""

    task: str
    teacher: Mapping[str, Any]
    """A network by `name`, with its arguments."""
    student: Mapping[str, Any]
    training: Mapping[str, Any]
    """Of both, but the epochs."""
    epochs: int
    views: Mapping[str, Any]
    losses: tuple[str, ...]
    """As YAML."""
    knowledge: str
    stored_weights: str
    """As a task's `edgekd.tasks.Example` says."""
    counts_points: bool
    """Whether the score is a fraction, whose drop is told in points."""
    minutes: float
    """What a run takes on two cores, roughly."""


class _Network(NamedTuple):
    teacher: dict[str, Any]
    student: dict[str, Any]
    sample_s: tuple[float, float]
    """Seconds of training a sample, of the teacher and the student, as measured on two busy cores."""
    training: dict[str, Any]
    views: dict[str, Any]


def find_tasks(fields: Mapping[str, str]) -> tuple[str, ...]:
    """Tasks with targets, all of which are among these fields, kinds by name."""
    wanted = {name: load_task(name).targets.items() for name in BUILT_IN}
    return tuple(name for name, each in wanted.items() if each and set(each) <= set(fields.items()))


def propose_recipe(
    fields: Mapping[str, str], survey: Survey | None, side: int | None, where: str
) -> Proposal:
    """What a recipe may say.

    Args:
        fields: kinds of the source's fields by name.
        survey: what was found; None if it could not be looked at.
        side: longer side of an image in pixels; None where there are none or that is not known.
        where: how to call the data in a message.

    Raises:
        InputError: if no task or no network of edgekd's fits, or a class has too few samples.
    """
    tasks = find_tasks(fields)
    if not tasks:
        kinds = ", ".join(fields.values()) or "fields that only your code knows"
        raise InputError(
            f"{where}: got {kinds}, want data of a task of edgekd", hint="edgekd tasks lists them"
        )
    task = tasks[0]
    targets = load_task(task).targets
    inputs = tuple(kind for name, kind in fields.items() if name not in targets)
    if survey is not None:
        _require_enough(survey, where)
    count = _training_samples(survey)
    network = _find_network(inputs, tuple(targets.values()), side, where)
    usual = network.training["batch_size"]
    batch = min(usual, _power_below(max(count // 4, min(LARGE_BATCH, count))))
    rate = network.training["learning_rate"] * math.sqrt(batch / usual)
    epoch_s = count * (network.sample_s[0] + 2 * network.sample_s[1])  # the control learns, too
    most = min(MOST_EPOCHS, max(20, MOST_STEPS * batch // count))
    epochs = max(FEWEST_EPOCHS, min(most, int(WANTED_S / max(epoch_s, 1e-9))))
    views = dict(network.views)
    if views.get("count", 1) > 1:
        views["count"] = min(views["count"], epochs)
    example = BUILT_IN[task].example
    return Proposal(
        task,
        network.teacher,
        network.student,
        {**network.training, "batch_size": batch, "learning_rate": float(f"{rate:.2g}")},
        epochs,
        views,
        example.losses,
        example.knowledge,
        example.stored_weights,
        load_task(task).score.unit == "fraction",
        round(MEASURING_MINUTES + 1.3 * epochs * epoch_s / 60, 1),
    )


def _require_enough(survey: Survey, where: str) -> None:
    lacking = sum(name not in survey.splits for name in KEPT_SHARES)
    few = {name: count for name, count in survey.classes.items() if 0 < count <= lacking}
    if few:
        name, count = min(few.items(), key=lambda item: item[1])
        samples = "1 sample" if count == 1 else f"{count} samples"
        raise InputError(
            f"{where}: got {samples} of class {name!r}, want {lacking + 1} or more of each, to learn and to test",
            hint="add some, or move its folder or rows away",
        )


def _power_below(count: int) -> int:
    """The largest power of two that is not above a count."""
    return int(2 ** (max(1, count).bit_length() - 1))


def _training_samples(survey: Survey | None) -> int:
    if survey is None:
        return 10_000
    shares = [share for name, share in KEPT_SHARES.items() if name not in survey.splits]
    count = float(survey.splits["train"])
    for share in shares:
        count *= share
    return max(1, int(count))


_ADAMW = {"optimizer": "adamw", "weight_decay": 0.01}


def _find_network(
    inputs: tuple[str, ...], targets: tuple[str, ...], side: int | None, where: str
) -> _Network:
    """Networks for these kinds of inputs and targets.

    Raises:
        InputError: if edgekd has none.
    """
    side = side or 32
    if inputs == ("image",) and targets == ("map",):
        scale = (side / 32) ** 2
        return _Network(
            {"name": "unet", "base": 12},
            {"name": "unet", "base": 6},
            (0.008 * scale, 0.004 * scale),
            {"batch_size": 8, **_ADAMW, "learning_rate": 0.003},
            {"count": 8, "flip": True, "crop": max(1, side // 16)},
        )
    if inputs == ("image",) and targets == ("number",):
        pixels = 3.0 * side * side
        return _Network(
            {"name": "mlp", "width": 256},
            {"name": "mlp", "width": 32},
            (2e-8 * pixels, 5e-9 * pixels),
            {"batch_size": 64, **_ADAMW, "learning_rate": 0.002},
            {"count": 8},
        )
    if inputs == ("image",) and side <= SMALL_SIDE:
        scale = (side / 32) ** 2
        return _Network(
            {"name": "resnet20"},
            {"name": "resnet8"},
            (0.008 * scale, 0.003 * scale),
            {"batch_size": 128, "optimizer": "sgd", "learning_rate": 0.1},
            {"count": 8, "crop": max(1, side // 16)},
        )
    if inputs == ("image",):
        scale = (side / 96) ** 2
        return _Network(
            {"name": "mobilenetv2-imagenet"},
            {"name": "mobilenetv2-imagenet", "multiplier": 0.35},
            (0.045 * scale, 0.015 * scale),
            {"batch_size": 32, **_ADAMW, "learning_rate": 0.002},
            {"count": 8, "flip": True, "crop": max(1, side // 16)},
        )
    if inputs in TEXTS and targets in TEXT_NETWORKS:
        name = TEXT_NETWORKS[targets]
        return _Network(
            {"name": name, "layers": 3, "width": 64, "heads": 4},
            {"name": name, "layers": 1, "width": 32, "heads": 2},
            (0.035, 0.008),
            {"batch_size": 64, **_ADAMW, "learning_rate": 0.003},
            {"count": MASKED_VIEWS if targets == MASKED else 1},
        )
    if inputs and set(inputs) == {"number"}:
        return _Network(
            {"name": "mlp", "width": 128},
            {"name": "mlp", "width": 16},
            (2e-5, 1e-5),
            {"batch_size": 64, **_ADAMW, "learning_rate": 0.003},
            {"count": 1},
        )
    raise InputError(
        f"{where}: got {', '.join(inputs) or 'nothing'} to learn {', '.join(targets)} from, want inputs that a "
        "network of edgekd takes",
        hint="edgekd tasks NAME shows a recipe with a network of your own",
    )

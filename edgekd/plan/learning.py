"""The steps that learn: data, teacher, control, knowledge, distillation."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

from edgekd.learn import blueprint_origin
from edgekd.learn.settings import Training
from edgekd.plan import wiring
from edgekd.recipe import Recipe
from edgekd.run import Options
from edgekd.stage import Step
from edgekd.stages import data
from edgekd.stages import distil
from edgekd.stages import knowledge
from edgekd.stages import load
from edgekd.stages import train
from edgekd.stages import tune
from edgekd.table import Named


def steps(recipe: Recipe, folder: Path, options: Options) -> Iterator[Step]:
    """All of them, in order.

    Args:
        recipe: what is carried out.
        folder: what its paths are relative to.
        options: where data lies and what may run.
    """
    yield _data(recipe, options)
    yield _tune("tune-teacher", recipe.teacher.model, recipe.teacher.train, options)
    yield _tune("tune-student", recipe.student.model, recipe.student.train, options)
    yield _teacher(recipe, folder, options)
    yield _train(recipe, "control", options)
    if any(step.knowledge == "stored" for step in recipe.learn):
        yield _knowledge(recipe)
    for number in range(len(recipe.learn)):
        yield _distil(recipe, number, options)


def student_label(recipe: Recipe) -> str:
    """The step that makes the finished student."""
    return _distil_label(recipe, len(recipe.learn) - 1)


def threads(training: Training) -> int:
    """The threads a training run uses: the recipe's, else every core this process may use."""
    return training.threads or len(os.sched_getaffinity(0))


def _data(recipe: Recipe, options: Options) -> Step:
    origin = functools.partial(
        data.origin,
        recipe.data,
        data_dir=options.data_dir,
        allow_code=options.allow_code,
        allow_download=options.allow_download,
        cache=options.store / "digests.json",
    )
    return Step("data", data.STAGE, recipe.data, {}, recipe.seed, origin=origin)


def _tune(label: str, model: Named, training: Training, options: Options) -> Step:
    config = tune.Config(
        model=model,
        batch_size=training.batch_size,
        precision=training.precision,
        channels_last=training.channels_last,
        threads=threads(training),
    )
    takes = {"data": ("data", "data.json")}
    return Step(label, tune.STAGE, config, takes, origin=_origin(model, options))


def _teacher(recipe: Recipe, folder: Path, options: Options) -> Step:
    if recipe.teacher.weights is None:
        return _train(recipe, "teacher", options)
    weights = folder / recipe.teacher.weights
    config = load.Config(model=recipe.teacher.model, file_name=weights.name)
    takes = wiring.splits("validation")
    return Step(
        "teacher",
        load.STAGE,
        config,
        takes,
        external={"user_weights": weights},
        origin=_origin(recipe.teacher.model, options),
    )


def _train(recipe: Recipe, label: str, options: Options) -> Step:
    teaches = label == "teacher"
    who = recipe.teacher if teaches else recipe.student
    views = recipe.teacher.views if teaches else None
    config = train.Config(
        model=who.model,
        losses=who.losses,
        train=who.train,
        views=views or recipe.views,
        views_seed=recipe.seed,
        teaches=teaches,
    )
    tuned = "tune-teacher" if teaches else "tune-student"
    takes = {**wiring.splits("train", "validation"), "resolved": (tuned, "resolved.json")}
    seed = recipe.seed if teaches else recipe.student_seed
    return Step(label, train.STAGE, config, takes, seed, origin=_origin(who.model, options))


def _knowledge(recipe: Recipe) -> Step:
    config = knowledge.Config(views=recipe.views, views_seed=recipe.seed)
    takes = {
        **wiring.splits("train"),
        **wiring.model("teacher"),
        "resolved": ("tune-teacher", "resolved.json"),
    }
    return Step("knowledge", knowledge.STAGE, config, takes)


def _distil(recipe: Recipe, number: int, options: Options) -> Step:
    step = recipe.learn[number]
    config = distil.Config(
        model=recipe.student.model,
        losses=step.losses,
        knowledge=step.knowledge,
        train=step.train or recipe.student.train,
        views=recipe.views,
        views_seed=recipe.seed,
    )
    takes = {
        **wiring.splits("train", "validation"),
        "resolved": ("tune-student", "resolved.json"),
    }
    if step.knowledge == "stored":
        takes["knowledge"] = ("knowledge", "knowledge.npy")
    else:
        takes |= wiring.model("teacher", prefix="teacher_")
    if number:
        takes["start_weights"] = (_distil_label(recipe, number - 1), "weights.safetensors")
    return Step(
        _distil_label(recipe, number),
        distil.STAGE,
        config,
        takes,
        recipe.student_seed,
        origin=_origin(recipe.student.model, options),
    )


def _origin(model: Named, options: Options) -> Callable[[], dict[str, str]] | None:
    """The files of a user's own model: if they change, so does what is built from them."""
    if model.name not in ("python", "transformers"):
        return None
    return functools.partial(
        blueprint_origin.digests_of,
        model.name,
        str(model.arguments["reference"]),
        allow_code=options.allow_code,
    )


def _distil_label(recipe: Recipe, number: int) -> str:
    return "distil" if len(recipe.learn) == 1 else f"distil-{number + 1}"

"""The steps before the student learns: data, arithmetic, teacher, control, knowledge."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path

from edgekd.learn.settings import Training
from edgekd.plan import origins
from edgekd.plan import student
from edgekd.plan import wiring
from edgekd.recipe import Recipe
from edgekd.run import Options
from edgekd.stage import Step
from edgekd.stages import data
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
    if student.needs_knowledge(recipe):
        yield _knowledge(recipe)


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
    return Step(label, tune.STAGE, config, takes, origin=origins.of_model(model, options))


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
        origin=origins.of_model(recipe.teacher.model, options),
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
    return Step(
        label, train.STAGE, config, takes, seed, origin=origins.of_model(who.model, options)
    )


def _knowledge(recipe: Recipe) -> Step:
    config = knowledge.Config(views=recipe.views, views_seed=recipe.seed)
    takes = {
        **wiring.splits("train"),
        **wiring.model("teacher"),
        "resolved": ("tune-teacher", "resolved.json"),
    }
    return Step("knowledge", knowledge.STAGE, config, takes)

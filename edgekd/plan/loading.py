"""The steps that read weights: a user's file, or what was published of a model."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING
from typing import NamedTuple

from edgekd.learn.models import MODELS
from edgekd.plan import origins
from edgekd.plan import own_texts
from edgekd.plan import pretrained_models
from edgekd.recipe import Recipe
from edgekd.recipe.learning import Student
from edgekd.recipe.learning import Teacher
from edgekd.run import Options
from edgekd.stage import Step
from edgekd.stages import load
from edgekd.stages import open as open_stage
from edgekd.tasks import DEFAULT_TASK

if TYPE_CHECKING:
    from edgekd.learn.preprocessing import Preprocessing


class WeightsFile(NamedTuple):
    """A file of weights, and what is known of it beside the recipe."""

    path: Path
    name: str
    """For messages."""
    origin: origins.Origin | None
    """Of the model that it belongs to, and the commit that it is of."""
    classes: tuple[str, ...] = ()
    """Names of its classes in its own order, where its publisher says them."""
    preprocessing: Preprocessing | None = None
    """What it was trained with, where its publisher says it."""
    tokenizer: Path | None = None
    """What its texts were taken apart with, where its publisher says it."""


def find_weights(words: Teacher | Student, folder: Path, options: Options) -> WeightsFile:
    """Find the weights that a model begins with.

    Args:
        words: what the recipe says of a model with weights.
        folder: what its paths are relative to.
        options: what may run.

    Raises:
        InputError: as `pretrained_models.find_weights`.
        MachineError: as `pretrained_models.find_weights`.
    """
    origin = origins.model_origin(words.model, options)
    if words.weights is not None:
        path = folder / words.weights
        if words.is_file:
            origin = origins.join(origin, origins.of_file(path))
        return WeightsFile(path, path.name, origin)
    found = pretrained_models.find_weights(words.model, options)
    pins: origins.Origin | None = functools.partial(dict, found.pins) if found.pins else None
    return WeightsFile(
        found.weights,
        str(words.model),
        origins.join(origin, pins),
        found.classes,
        found.preprocessing,
        found.tokenizer,
    )


def open_step(
    recipe: Recipe, words: Teacher | Student, label: str, folder: Path, options: Options
) -> Step:
    """Open the weights, before anything is known of the data."""
    weights, member = find_weights(words, folder, options), MODELS[words.model.name]
    config = open_stage.OpenConfig(
        model=words.model,
        file_name=weights.name,
        input=words.input,
        classes=words.classes,
        allow=words.allow,
        classifies_images=recipe.task == DEFAULT_TASK
        and member.built_in
        and member.names != "code",
    )
    return Step(
        label,
        open_stage.STAGE,
        config,
        {},
        external={"user_weights": weights.path},
        origin=weights.origin,
    )


def load_step(
    recipe: Recipe,
    words: Teacher | Student,
    label: str,
    folder: Path,
    options: Options,
    *,
    seed: int,
    for_training: bool,
    name: str = "",
) -> Step:
    """Load the weights into their model, and make it ready for the data; `seed` draws what they lack, `name` is a
    teacher's."""
    weights = find_weights(words, folder, options)
    config = load.LoadConfig(
        model=words.model,
        file_name=weights.name,
        input=words.input,
        classes=words.classes or weights.classes,
        allow=words.allow,
        preprocessing=weights.preprocessing,
        for_training=for_training,
    )
    takes = own_texts.take_splits(recipe, name, "validation")
    external = {"user_weights": weights.path}
    if weights.tokenizer is not None:
        external[load.MODEL_TOKENIZER] = weights.tokenizer
        takes |= own_texts.take_tokenizer(recipe, name)
    seed = seed if for_training else 0
    return Step(label, load.STAGE, config, takes, seed, external=external, origin=weights.origin)

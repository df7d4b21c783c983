"""Published models that a recipe names: their files are here, or may be fetched, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from edgekd.learn.model_settings import Input
from edgekd.learn.model_settings import ModelChoice
from edgekd.learn.models import MODELS
from edgekd.recipe import Recipe
from edgekd.run import Options

if TYPE_CHECKING:
    from edgekd.learn.preprocessing import Preprocessing
    from edgekd.learn.pretrained_model import PretrainedModel


def settle_models(recipe: Recipe, options: Options) -> Recipe:
    """A recipe whose pretrained models say which images they expect.

    Fetches what is missing, where that is allowed; of a run that is only foreseen nothing.

    Raises:
        InputError: naming the key, if a model has no weights or its configuration cannot be used.
        MachineError: naming the key, if files are missing and may not, or cannot, be fetched.
    """
    changes: dict[tuple[str, ...], ModelChoice] = {}
    for key, model in _list_models(recipe):
        if not is_published(model) or (options.dry and options.allow_download and _missing(model)):
            continue
        try:
            found = _require(model, options)
        except EdgekdError as error:
            raise type(error)(f"{'.'.join(key)}: {error}", hint=error.hint) from error
        _require_layers(key, model)
        if found is not None:
            changes[key] = model.model_copy(update={"expects": _expect(found)})
    return _replace(recipe, changes)


def is_published(model: ModelChoice) -> bool:
    """Whether a model's files lie in a folder or on the hub: its weights, or the configuration that its name stands for."""
    if not MODELS[model.name].package:
        return False
    return model.pretrained or "/" in str(model.arguments["reference"])


def find_weights(model: ModelChoice, options: Options) -> PretrainedModel:
    """The published weights of a model, which `settle_models` has fetched; of a run that is only foreseen, where they
    would lie.

    Raises:
        InputError: as `settle_models`.
        MachineError: as `settle_models`.
    """
    from edgekd.learn import pretrained_model
    from edgekd.learn.preprocessing import Preprocessing

    if options.dry and options.allow_download and _missing(model):
        return pretrained_model.PretrainedModel(
            Path(pretrained_model.WEIGHTS[0]), Preprocessing(), (), {}
        )
    return pretrained_model.find_pretrained(model)


def find_per_channel(recipe: Recipe, options: Options) -> dict[str, Any]:
    """Find what pixels are normalised with for the first pretrained model that says it; empty where none does."""
    for _, model in _list_models(recipe):
        if model.pretrained:
            found = find_weights(model, options).preprocessing
            if found.mean is not None and found.std is not None:
                return {"published_mean": found.mean, "published_std": found.std}
    return {}


def list_downloads(recipe: Recipe) -> tuple[str, ...]:
    """Addresses of the models that a run would fetch; empty if all of them are here."""
    each = (_missing(model) for _, model in _list_models(recipe) if is_published(model))
    return tuple(dict.fromkeys(address for addresses in each for address in addresses))


def _missing(model: ModelChoice) -> tuple[str, ...]:
    from edgekd.learn import pretrained_model

    return pretrained_model.list_downloads(model)


def _require(model: ModelChoice, options: Options) -> Preprocessing | None:
    """Have the files of a model here; return what its weights want, None of one that begins with new weights."""
    from edgekd.learn import pretrained_model

    allowed = options.allow_download and not options.dry
    pretrained_model.require_config(model, allow_download=allowed)
    pretrained_model.admit_config(model)
    if not model.pretrained:
        return None
    return pretrained_model.find_pretrained(model, allow_download=allowed).preprocessing


def _require_layers(key: tuple[str, ...], model: ModelChoice) -> None:
    """
    Raises:
        InputError: naming the key, if its configuration has no such layers.
    """
    from edgekd.learn import pretrained_model

    try:
        pretrained_model.require_layers(model, pretrained_model.require_config(model))
    except InputError as error:
        raise InputError(f"{'.'.join(key)}.{error}", hint=error.hint) from error


def _expect(found: Preprocessing) -> Input | None:
    """The images that a network takes, as far as it takes no others."""
    size = {"height": found.height, "width": found.width} if found.has_fixed_size else {}
    expected = Input.model_validate({"channels": found.channels, **size})
    return None if expected == Input() else expected


def _list_models(recipe: Recipe) -> Iterator[tuple[tuple[str, ...], ModelChoice]]:
    if recipe.teacher is not None:
        yield ("teacher", "model"), recipe.teacher.model
    for name, teacher in recipe.teachers.items():
        yield ("teachers", name, "model"), teacher.model
    yield ("student", "model"), recipe.student.model


def _replace(recipe: Recipe, changes: dict[tuple[str, ...], ModelChoice]) -> Recipe:
    updates: dict[str, Any] = {}
    if recipe.teacher is not None and ("teacher", "model") in changes:
        model = {"model": changes["teacher", "model"]}
        updates["teacher"] = recipe.teacher.model_copy(update=model)
    others = {
        name: teacher.model_copy(update={"model": changes["teachers", name, "model"]})
        for name, teacher in recipe.teachers.items()
        if ("teachers", name, "model") in changes
    }
    if others:
        updates["teachers"] = {**recipe.teachers, **others}
    if ("student", "model") in changes:
        updates["student"] = recipe.student.model_copy(
            update={"model": changes["student", "model"]}
        )
    return recipe.model_copy(update=updates) if updates else recipe

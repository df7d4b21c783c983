"""A user's file that can only be deployed as it is: what is left of its recipe."""

from __future__ import annotations

from edgekd.errors import InputError
from edgekd.plan import roles
from edgekd.profile import stored_precision
from edgekd.recipe import Recipe
from edgekd.recipe.steps import Quantization


def leave_unchanged(recipe: Recipe, obstacle: str) -> Recipe:
    """The recipe without its quantization, for a file in float.

    Args:
        recipe: whose student is a file.
        obstacle: why that is deployed as it is.

    Raises:
        InputError: if another step would change it, or a target asks for int8 alone.
    """
    _require_no_change(recipe, obstacle)
    for number, target in enumerate(recipe.targets):
        if roles.FLOAT not in target.precisions():
            asked = ", ".join(target.precisions())
            raise InputError(
                f"targets.{number}.precision: got {asked} for {recipe.student.model}: {obstacle}",
                hint="precision: fp32 deploys the file as it is",
            )
    return recipe.model_copy(update={"learn": ()})


def take_quantized(recipe: Recipe, obstacle: str) -> Recipe:
    """The recipe of a file that was quantized before: it is measured in int8, as it is, whatever the rest of it runs in.

    Args:
        recipe: whose student is the file.
        obstacle: what tells that it was.

    Raises:
        InputError: if another step would change it, or a target does not ask for int8.
    """
    _require_no_change(recipe, obstacle)
    targets = []
    for number, target in enumerate(recipe.targets):
        own = [each for each in target.precisions() if stored_precision(each) == roles.INT8]
        if not own:
            raise InputError(
                f"targets.{number}.precision: got no int8 for {recipe.student.model}: {obstacle}",
                hint="precision: [int8] measures the file as it is",
            )
        targets.append(target.model_copy(update={"precision": tuple(own)}))
    return recipe.model_copy(update={"learn": (), "targets": tuple(targets)})


def _require_no_change(recipe: Recipe, obstacle: str) -> None:
    """
    Raises:
        InputError: if a step would change the file.
    """
    for step in recipe.steps:
        if not isinstance(step, Quantization):
            key = ".".join(map(str, (*step.key, "step")))
            name = step.words.step
            raise InputError(f"{key}: got {name!r} for {recipe.student.model}: {obstacle}")

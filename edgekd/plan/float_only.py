"""A user's file that can only be deployed as it is: what is left of its recipe."""

from __future__ import annotations

from edgekd.errors import InputError
from edgekd.plan import roles
from edgekd.recipe import Recipe
from edgekd.recipe.steps import Quantization


def leave_unchanged(recipe: Recipe, obstacle: str) -> Recipe:
    """The recipe without its quantization.

    Args:
        recipe: whose student is a file.
        obstacle: why that is deployed as it is.

    Raises:
        InputError: if another step would change it, or a target asks for int8 alone.
    """
    for step in recipe.steps:
        if not isinstance(step, Quantization):
            key = ".".join(map(str, (*step.key, "step")))
            name = step.words.step
            raise InputError(f"{key}: got {name!r} for {recipe.student.model}: {obstacle}")
    for number, target in enumerate(recipe.targets):
        if roles.FLOAT not in target.precisions():
            asked = ", ".join(target.precisions())
            raise InputError(
                f"targets.{number}.precision: got {asked} for {recipe.student.model}: {obstacle}",
                hint="precision: fp32 deploys the file as it is",
            )
    return recipe.model_copy(update={"learn": ()})

"""The losses of a step that names none: those that the example recipe of its task has."""

from __future__ import annotations

from typing import Any

from edgekd.learn.losses import LOSSES
from edgekd.learn.schemes import OFFLINE
from edgekd.learn.signals import find_signal
from edgekd.learn.signals import needs
from edgekd.recipe.text import ParsedRecipe
from edgekd.tasks import BUILT_IN
from edgekd.tasks import DEFAULT_TASK
from edgekd.tasks import list_usual_losses

RECOVER = "recover"
TEACHERS = ("teacher", "teachers")


def add_usual_losses(document: ParsedRecipe) -> ParsedRecipe:
    """`document`, in its one form, with the losses of each step that a teacher or labels teach and that names none.

    A step of a user's own task, and one with a scheme of its own, stays as it is.
    """
    learn = document.value.get("learn")
    task = document.value.get("task", DEFAULT_TASK)
    if not isinstance(task, str) or task not in BUILT_IN or not isinstance(learn, list):
        return document
    taught = any(document.value.get(key) for key in TEACHERS)
    usual = list_usual_losses(task)
    steps = [_complete(step, usual, taught=taught) for step in learn]
    return document._replace(value={**document.value, "learn": steps})


def _complete(step: Any, usual: list[Any], *, taught: bool) -> Any:
    """A step with its losses; one that recovers learns from what was larger, whoever else teaches."""
    if not isinstance(step, dict):
        return step
    if isinstance(step.get(RECOVER), dict):
        return {**step, RECOVER: {"losses": usual, **step[RECOVER]}}
    scheme = step.get("scheme", OFFLINE.name)
    if step.get("step") != "distil" or scheme != OFFLINE.name or "losses" in step:
        return step
    taught = taught or bool(step.get("teachers"))
    return {**step, "losses": usual if taught else _of_labels(usual)}


def _of_labels(losses: list[Any]) -> list[str]:
    """The names of those that compare with no teacher, which then are all there is: each counts in full."""
    names = [each["name"] if isinstance(each, dict) else each for each in losses]
    return [
        name
        for name in names
        if all(find_signal(signal).side != "teacher" for signal in needs(LOSSES[name]))
    ]

"""The losses of a step whose recipe names none: those that the task says."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from edgekd.errors import InputError
from edgekd.learn.losses import LOSSES
from edgekd.learn.settings import Term
from edgekd.named_member import NamedMember
from edgekd.task import Task


def find_label_terms(said: tuple[Term, ...], task: Task) -> tuple[Term, ...]:
    """Return what labels teach: the recipe's terms, or the task's.

    Raises:
        InputError: if the task names a loss that there is not.
    """
    return said or _parse(task.losses)


def find_soft_terms(said: tuple[Term, ...], task: Task) -> tuple[Term, ...]:
    """Return what a teacher's answers teach: the recipe's terms, or the task's.

    Raises:
        InputError: if the task names a loss that there is not, or none.
    """
    if not said and not task.soft_losses:
        raise InputError("losses: got none, and the task names none for a teacher's answers")
    return said or _parse(task.soft_losses)


def _parse(losses: Sequence[str | Mapping[str, Any]]) -> tuple[Term, ...]:
    try:
        return tuple(Term(loss=NamedMember.parse(loss, LOSSES, "loss")) for loss in losses)
    except ValueError as error:
        raise InputError(f"task: losses: {error}") from error

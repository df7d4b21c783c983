"""What a bundle's task makes of a model's outputs: whether two decide alike, and what is told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgekd.bundle import Bundle
from edgekd.tasks import load_task

if TYPE_CHECKING:
    from edgekd.bench.differences import Agree
    from edgekd.field import Arrays

OWN = "python:"
"""A task of its author's own, whose code a bundle does not hold."""
NOT_RUN = "decisions not compared: the task is its author's own code, which is not run"


def find_agree(found: Bundle) -> Agree | None:
    """Return how decisions of its task are compared; None for a task of its author's own, which is not run here.

    Raises:
        InputError: if the task is a plugin's that is not installed.
    """
    if found.dataset.task.startswith(OWN):
        return None
    task = load_task(found.dataset.task)
    return lambda answered, wanted: task.agree(
        task.decide(answered, found.dataset), task.decide(wanted, found.dataset)
    )


def agree_always(answered: Arrays, wanted: Arrays) -> np.ndarray:
    """[N] ones, where decisions cannot be compared."""
    return np.ones(len(next(iter(wanted.values()))))

"""Is a model better than guessing, and if not, what is the likely cause?"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import NamedTuple

from edgekd.task import metric_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from edgekd.dataset import Dataset
    from edgekd.field import Arrays
    from edgekd.task import Metric
    from edgekd.task import Task

MARGIN = 0.1
"""How much of the way from chance to perfect a usable model must have gone."""
EXPLAINED = 0.45
"""How much of that way it goes with the cause put right, if that was the cause."""


class Standing(NamedTuple):
    """A model's distance from guessing, by the metric of the task that tells the two apart."""

    metric: Metric
    value: float
    chance: float
    """Of one who sees only how the targets are spread."""

    @property
    def skill(self) -> float:
        """How much of the way from chance to perfect: 0 to 1 of what knows something, below 0 of what is worse than a
        guess.

        Where targets are all alike a guess is perfect; half of perfect then counts as guessing.
        """
        perfect = self.metric.perfect
        guessed = perfect / 2 if self.chance == perfect else self.chance
        if guessed == perfect:
            return float(self.value == perfect)
        return (self.value - guessed) / (perfect - guessed)

    @property
    def is_near_chance(self) -> bool:
        """Whether it knows hardly anything of these inputs."""
        return not self.skill >= MARGIN


def compute_standing(task: Task, outputs: Arrays, targets: Arrays, dataset: Dataset) -> Standing:
    """The standing of a model's outputs to samples with these targets."""
    return find_standing(
        task, metric_rows((task.chance,), outputs, targets, dataset), targets, dataset
    )


def find_standing(
    task: Task, rows: Mapping[str, NDArray[np.float64]], targets: Arrays, dataset: Dataset
) -> Standing:
    """The same of the rows of its metrics."""
    metric = task.chance
    guessed = metric_rows((metric,), task.guess(targets, dataset), targets, dataset)
    return Standing(metric, metric.value(rows[metric.name]), metric.value(guessed[metric.name]))

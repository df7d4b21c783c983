"""What a task is: which targets a model learns, what it gives, and how that is judged. Numpy alone.

A metric reduces every sample to a row of K numbers, and rows to its value: so one bootstrap, one gate and
one interval serve every task, and a board sends rows home in place of outputs. `edgekd.tasks` holds them.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Literal
from typing import NamedTuple

from edgekd.dataset import Dataset
from edgekd.interface import BATCH
from edgekd.interface import Axis
from edgekd.interface import Interface
from edgekd.interface import Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.field import Arrays


class Metric(NamedTuple):
    """One figure of a model's outputs."""

    name: str
    """As people say it: ``accuracy``."""
    unit: Literal["fraction", "number"]
    """A fraction is told in percent, and its differences in points."""
    better: Literal["higher", "lower"]
    rows: Callable[[Arrays, Arrays, Dataset], NDArray[np.float64]]
    """Outputs and targets of N samples to [N, K]: all that is ever needed of them."""
    value: Callable[[NDArray[np.float64]], float]
    """Rows of any samples to the figure."""


class Task(NamedTuple):
    """What is to be answered of every sample."""

    targets: Mapping[str, str]
    """Target to the kind of its field; every other field of the data is an input."""
    outputs: tuple[Tensor, ...]
    """What a model gives. An axis is a number, a size of its target's field (``classes``) or of another, a free axis
    of an input, or else the model's own; ``target`` names what an output is compared with."""
    losses: tuple[str, ...]
    """What labels teach where the recipe does not say."""
    metrics: tuple[Metric, ...]
    """The first is the score."""
    decide: Callable[[Arrays, Dataset], Arrays]
    """Outputs to decisions: classes, a map, numbers."""
    agree: Callable[[Arrays, Arrays], NDArray[np.float64]]
    """Two decisions to [N]: how far they are the same, 0 to 1."""
    guess: Callable[[Arrays, Dataset], Arrays]
    """Targets to the outputs of one who sees only how they are spread: what chance is measured by."""
    describe: Callable[[Arrays, Dataset, int], list[list[tuple[str, float | None]]]]
    """Decisions to lines for people, one list a sample: text, with its probability where there is one. The number
    is how many lines are wanted."""
    chance_metric: str = ""
    """Which of the metrics tells knowledge from guessing; empty for the score."""
    explain_chance: Callable[[Arrays, Arrays, Dataset], str] | None = None
    """Outputs near chance and targets to the likely cause, in a sentence; empty if there is none."""

    @property
    def score(self) -> Metric:
        """The metric that decides."""
        return self.metrics[0]


def interface_of(task: Task, dataset: Dataset) -> Interface:
    """What a model takes and gives: the fields of the data's inputs, and the outputs of the task.

    Raises:
        ValueError: if the data lack a target of the task, or have one of another kind, or an input cannot be one or
            does not fit a target.
    """
    for name, kind in task.targets.items():
        got = dataset.targets[name].kind if name in dataset.targets else "none"
        if got != kind:
            raise ValueError(f"{name}: got {got}, want a target of kind {kind!r}")
    dataset.require_fits()
    sizes, axes = dataset.sizes(), [Axis(BATCH)]
    inputs: list[Tensor] = []
    for name, field in dataset.inputs.items():
        inputs += field.tensors(name)
        axes += [axis for axis in field.axes(name) if axis not in axes]
    outputs: list[Tensor] = []
    for output in task.outputs:
        target = dataset.targets.get(output.target)
        known = sizes if target is None else sizes | target.target_sizes()
        outputs.append(
            output._replace(shape=tuple(known.get(str(size), size) for size in output.shape))
        )
    return Interface(tuple(inputs), tuple(outputs), tuple(axes), sizes)


def metric_rows(
    metrics: Sequence[Metric], outputs: Arrays, targets: Arrays, dataset: Dataset
) -> dict[str, NDArray[np.float64]]:
    """Each metric's rows [N, K], by its name.

    Raises:
        ValueError: if a metric gives no finite numbers, one row a sample.
    """
    import numpy as np

    found = {}
    count = len(next(iter(outputs.values())))
    for metric in metrics:
        rows = np.asarray(metric.rows(outputs, targets, dataset), np.float64)
        if rows.ndim != 2 or len(rows) != count or not rows.shape[1]:
            raise ValueError(f"{metric.name}: got rows {list(rows.shape)}, want [{count}, K]")
        if not np.isfinite(rows).all():
            raise ValueError(f"{metric.name}: got rows that are not finite")
        found[metric.name] = rows
    return found


def score(task: Task, outputs: Arrays, targets: Arrays, dataset: Dataset) -> float:
    """The value of the task's first metric."""
    rows = metric_rows((task.score,), outputs, targets, dataset)
    return task.score.value(rows[task.score.name])


def agreement(task: Task, outputs: Arrays, reference: Arrays, dataset: Dataset) -> float:
    """How far two models' decisions are the same, 0 to 1: the mean over samples."""
    one, other = task.decide(outputs, dataset), task.decide(reference, dataset)
    return float(task.agree(one, other).mean())


def ratio(rows: NDArray[np.float64]) -> float:
    """The sum of the first column over that of the second."""
    return float(rows[:, 0].sum() / rows[:, 1].sum())

"""What a task is: which targets a model learns, what it gives, and how that is judged. Numpy alone.

A metric reduces every sample to a row of K numbers, and rows to its value: so one bootstrap, one gate and
one interval serve every task, and a board sends rows home in place of outputs. `edgekd.tasks` holds them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import Literal
from typing import NamedTuple

from edgekd.dataset import Dataset
from edgekd.dataset import answered_ends
from edgekd.field import RaggedRows
from edgekd.interface import BATCH
from edgekd.interface import Axis
from edgekd.interface import Interface
from edgekd.interface import Tensor
from edgekd.units import percent_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.field import Arrays
    from edgekd.field import Rows

    Lines = list[list[tuple[str, float | None]]]


MOST_OUTPUT_VALUES = 2**25
"""Of what a model answers to one batch: 128 MiB in float32, 5 texts of 128 tokens out of 49,152."""


class Scale(NamedTuple):
    """Name, unit and direction of a metric."""

    name: str
    """As people say it: ``accuracy``."""
    unit: Literal["fraction", "number"] = "fraction"
    """A fraction is told in percent, and its differences in points."""
    better: Literal["higher", "lower"] = "higher"


class Metric(NamedTuple):
    """One figure of a model's outputs."""

    name: str
    """See `Scale`."""
    unit: Literal["fraction", "number"]
    better: Literal["higher", "lower"]
    rows: Callable[[Arrays, Arrays, Dataset], NDArray[np.float64]]
    """Outputs and targets of N samples to [N, K]: all that is ever needed of them."""
    value: Callable[[NDArray[np.float64]], float]
    """Rows of any samples to the figure; a finite number, whichever samples they are."""
    perfect: float = 1.0
    """What it is where everything is right."""
    fits: Callable[[Dataset], bool] | None = None
    """Whether it says anything of such data; None always."""
    settle: Callable[[NDArray[np.float64]], NDArray[np.float64]] | None = None
    """The rows of all samples to rows [M, 2] whose `ratio` is the figure, of a figure that compares samples with one
    another: drawn anew, the others would be other ones. None of one to which each sample gives its row alone."""

    @property
    def scale(self) -> Scale:
        """How its values are read."""
        return Scale(self.name, self.unit, self.better)


class Task(NamedTuple):
    """Targets, outputs, losses, metrics and decisions of one kind of problem."""

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
    describe: Callable[[Arrays, Dataset, int], Lines]
    """Decisions and how many lines to those for people, a list a sample: text, with its probability where there is one."""
    soft_losses: tuple[str | Mapping[str, Any], ...] = ()
    """What a teacher's answers teach where the recipe does not say: names, or mappings with `name` and knobs."""
    chance_metric: str = ""
    """Which of the metrics tells knowledge from guessing; empty for the score."""
    from_answers: bool = False
    """Whether its targets are the answers of the model that a run begins with, and its outputs are theirs."""
    describe_inputs: Callable[[Arrays, Mapping[str, Rows], Dataset, int], Lines] | None = None
    """The same beside what was asked: it is given the stored rows of the inputs, too."""
    explain_chance: Callable[[Arrays, Arrays, Dataset], str] | None = None
    """Outputs near chance and targets to the likely cause, in a sentence; empty if there is none."""
    least_agreement: float = 0.5
    """Mean of `agree` with the float student below which an engine's is refused: far below what quantizing costs."""

    @property
    def score(self) -> Metric:
        """The metric that decides."""
        return self.metrics[0]

    @property
    def chance(self) -> Metric:
        """The metric that tells knowledge from guessing."""
        named = (metric for metric in self.metrics if metric.name == self.chance_metric)
        return next(named, self.score)


def interface_of(task: Task, dataset: Dataset) -> Interface:
    """Return what a model takes and gives: the fields of the data's inputs, and the outputs of the task.

    Raises:
        ValueError: if the data lack a target of the task, or have one of another kind, or an input cannot be one or
            does not fit a target, or two inputs or outputs have one name.
    """
    for name, kind in task.targets.items():
        got = dataset.targets[name].kind if name in dataset.targets else "none"
        if got != kind:
            held = ", ".join([*dataset.inputs, *dataset.targets])
            other = "" if name in dataset.targets else f" of that name; the data have {held}"
            raise ValueError(f"{name}: got {got}, want a target of kind {kind!r}{other}")
    dataset.require_fits()
    sizes, axes = dataset.sizes(), [Axis(BATCH)]
    inputs: list[Tensor] = []
    for name, field in dataset.inputs.items():
        inputs += field.tensors(name)
        axes += [axis for axis in field.axes(name) if axis not in axes]
    outputs: list[Tensor] = []
    for output in task.outputs or answered_ends(dataset):
        target = dataset.targets.get(output.target)
        known = sizes if target is None else sizes | target.target_sizes()
        outputs.append(
            output._replace(shape=tuple(known.get(str(size), size) for size in output.shape))
        )
    names = [end.name for end in (*inputs, *outputs)]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name}: got two inputs or outputs of that name, want each once")
    return Interface(tuple(inputs), tuple(outputs), tuple(axes), sizes)


def list_fitting(metrics: Sequence[Metric], dataset: Dataset) -> tuple[Metric, ...]:
    """Those of the metrics that say something of such data."""
    return tuple(each for each in metrics if each.fits is None or each.fits(dataset))


def count_output_values(task: Task, dataset: Dataset, rows: Mapping[str, Rows]) -> int:
    """Values of all outputs to one sample, of those whose fields differ in length to the longest."""
    interface = interface_of(task, dataset)
    longest = {
        axis.name: int(each.lengths.max(initial=1))
        for name, field in dataset.inputs.items()
        for axis in field.axes(name)
        if isinstance(each := rows[name], RaggedRows)
    }
    return sum(math.prod(interface.shape(end, 1, **longest)) for end in interface.outputs)


def metric_rows(
    metrics: Sequence[Metric], outputs: Arrays, targets: Arrays, dataset: Dataset
) -> dict[str, NDArray[np.float64]]:
    """The rows [N, K] of each metric that fits the data, by its name.

    Raises:
        ValueError: if a metric gives no finite numbers, one row a sample.
    """
    import numpy as np

    found: dict[str, NDArray[np.float64]] = {}
    reduced: dict[Any, NDArray[np.float64]] = {}
    """By function: figures that are made of the same rows share them."""
    count = len(next(iter(outputs.values())))
    for metric in list_fitting(metrics, dataset):
        if metric.rows not in reduced:
            reduced[metric.rows] = np.asarray(metric.rows(outputs, targets, dataset), np.float64)
        rows = reduced[metric.rows]
        if rows.ndim != 2 or len(rows) != count or not rows.shape[1]:
            raise ValueError(f"{metric.name}: got rows {list(rows.shape)}, want [{count}, K]")
        if not np.isfinite(rows).all():
            raise ValueError(f"{metric.name}: got rows that are not finite")
        found[metric.name] = rows
    return found


def metric_values(task: Task, rows: Mapping[str, NDArray[np.float64]]) -> dict[str, float]:
    """The value of each metric by its name, in the task's order: of rows as `metric_rows` gives them."""
    return {each.name: each.value(rows[each.name]) for each in task.metrics if each.name in rows}


def compute_score(task: Task, outputs: Arrays, targets: Arrays, dataset: Dataset) -> float:
    """The value of the task's first metric."""
    rows = metric_rows((task.score,), outputs, targets, dataset)
    return task.score.value(rows[task.score.name])


def is_better(metric: Metric | Scale, value: float, other: float) -> bool:
    """Return whether `value` is better than `other`; not if they are equal."""
    return value > other if metric.better == "higher" else value < other


def score_drop(metric: Metric | Scale, value: float, reference: float) -> float:
    """Return how much worse `value` is than `reference`: in points for fractions, else in the metric's own unit;
    negative where it is better."""
    worse = reference - value if metric.better == "higher" else value - reference
    return 100 * worse if metric.unit == "fraction" else worse


def value_text(metric: Metric | Scale, value: float) -> str:
    """A metric's value as people read it where its name stands beside it."""
    return percent_text(value) if metric.unit == "fraction" else f"{value:.4g}"


def figure_text(metric: Metric | Scale, value: float) -> str:
    """The same where its name does not: only a number needs one."""
    name = "" if metric.unit == "fraction" else f" {metric.name}"
    return value_text(metric, value) + name


def drop_text(metric: Metric | Scale, drop: float, digits: int = 2) -> str:
    """`score_drop` without its sign: ``0.83 points``, ``0.12 RMSE``."""
    if metric.unit == "fraction":
        return f"{abs(drop):.{digits}f} points"
    return f"{abs(drop):.3g} {metric.name}"


def agree_samples(
    task: Task, outputs: Arrays, reference: Arrays, dataset: Dataset
) -> NDArray[np.float64]:
    """Return how far two models decide the same on each sample: [N], 0 to 1."""
    return task.agree(task.decide(outputs, dataset), task.decide(reference, dataset))


def ratio(rows: NDArray[np.float64]) -> float:
    """The sum of the first column over that of the second; 0 where there is nothing of that."""
    total = rows[:, 1].sum()
    return float(rows[:, 0].sum() / total) if total else 0.0

"""A split on which finished models are judged by the task's metrics."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np
from torch import nn
from torch.nn.utils import parametrize

from edgekd import dataset
from edgekd import splits
from edgekd import task as tasks_of
from edgekd.dataset import Dataset
from edgekd.learn import answers
from edgekd.learn.data import kinds
from edgekd.sampling_error import is_worse
from edgekd.task import MOST_OUTPUT_VALUES
from edgekd.task import Metric
from edgekd.task import Task
from edgekd.tasks import load_task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Arrays
    from edgekd.field import Rows


class EvaluationSplit(NamedTuple):
    """Samples with their targets, and the task they are judged by."""

    task: Task
    dataset: Dataset
    rows: Mapping[str, Rows]
    """Of every field, as they are stored."""

    @property
    def size(self) -> int:
        """Number of samples."""
        return len(next(iter(self.rows.values())))

    @property
    def targets(self) -> Arrays:
        """What outputs are compared with, by name."""
        return self.dataset.prepare_targets(self.rows)

    @property
    def class_output(self) -> kinds.ClassOutput | None:
        """The output that names one class a sample; None if there is none."""
        outputs = tasks_of.interface_of(self.task, self.dataset).outputs
        return kinds.find_class_output(self.dataset, outputs)

    def outputs(self, model: nn.Module, precision: str = "fp32") -> Arrays:
        """A model's outputs [N, ...] by name."""
        ends = tasks_of.interface_of(self.task, self.dataset).outputs
        return answers.compute_outputs(
            model,
            self.rows,
            self.dataset,
            [end.name for end in ends],
            precision=precision,
            has_places=any(isinstance(axis, str) for end in ends for axis in end.shape[1:]),
        )

    def judge(
        self, model: nn.Module, precision: str = "fp32", metrics: Sequence[Metric] = ()
    ) -> dict[str, NDArray[np.float64]]:
        """The rows of metrics, or of all, by their names, of a model's outputs; of very large ones some samples at a time."""
        with parametrize.cached():  # what weights are made of is made once, not for each part
            parts = [
                tasks_of.metric_rows(
                    metrics or self.task.metrics,
                    part.outputs(model, precision),
                    part.targets,
                    self.dataset,
                )
                for part in self.divide()
            ]
        return {name: np.concatenate([each[name] for each in parts]) for name in parts[0]}

    @property
    def count_at_once(self) -> int:
        """Samples whose outputs have at most `MOST_OUTPUT_VALUES` values; at least one."""
        values = tasks_of.count_output_values(self.task, self.dataset, self.rows)
        return max(1, MOST_OUTPUT_VALUES // max(1, values))

    def take(self, numbers: Sequence[int]) -> EvaluationSplit:
        """The samples of these numbers; a range of them stays where it is stored."""
        if isinstance(numbers, range):
            some: Any = slice(numbers.start, numbers.stop, numbers.step)
        else:
            some = np.asarray(numbers, np.int64)
        return self._replace(rows={name: each[some] for name, each in self.rows.items()})

    def divide(self) -> Iterator[EvaluationSplit]:
        """Yield the samples in order, so many at a time as are answered at once."""
        count = self.count_at_once
        for start in range(0, self.size, count):
            yield self.take(range(start, min(start + count, self.size)))

    def score(self, model: nn.Module, precision: str = "fp32") -> float:
        """The value of the first metric of a model's outputs."""
        return self.task.score.value(self.score_rows(model, precision))

    def score_rows(self, model: nn.Module, precision: str = "fp32") -> NDArray[np.float64]:
        """The rows [N, K] of the first metric of a model's outputs."""
        metric = self.task.score
        return self.judge(model, precision, (metric,))[metric.name]

    def falls_behind(self, model: nn.Module, reference: NDArray[np.float64]) -> bool:
        """Return whether a model scores worse on the same samples than the rows of another's score, by more than chance."""
        return is_worse(self.task.score, self.score_rows(model), reference)


def read_split(
    given: Mapping[str, Path], name: str = "validation", *, allow_code: bool = False
) -> EvaluationSplit:
    """The split called `name` of a stage's inputs; its rows stay on disk until they are looked at.

    Args:
        given: ``data`` and the split.
        name: of the split.
        allow_code: whether a user's own task may run.

    Raises:
        InputError: if they are not what a data stage writes, or the task may not run.
    """
    found = dataset.read(given["data"])
    return EvaluationSplit(
        load_task(found.task, allow_code=allow_code), found, splits.read(given[name])
    )

"""What several models answer to one split, reduced to what compares them, some samples at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import NamedTuple

import numpy as np
from torch import nn

from edgekd.errors import InputError
from edgekd.learn.evaluation import EvaluationSplit
from edgekd.progress import SILENT
from edgekd.progress import Progress
from edgekd.task import metric_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Arrays


class ComparedAnswers(NamedTuple):
    """Of all samples of a split, by who answered."""

    rows: dict[str, dict[str, NDArray[np.float64]]]
    """Of each metric by its name, [N, K]."""
    alike: dict[str, NDArray[np.float64]]
    """How far each but the reference decides as that does, [N], 0 to 1."""
    logits: dict[str, NDArray[np.float32]]
    """Of the output that names one class a sample, [N, C]; empty where there is none."""


def compare_answers(
    models: Mapping[str, nn.Module],
    reads: Mapping[str, EvaluationSplit],
    reference: str,
    progress: Progress = SILENT,
) -> ComparedAnswers:
    """Ask all models about a split; outputs are held of as many samples as stay small.

    Args:
        models: by role.
        reads: the split as each of them reads it: the same samples, with the same targets.
        reference: the role whose decisions the others are compared with.
        progress: hears how many samples are answered.

    Raises:
        InputError: if a model answers something that is not finite.
    """
    split = reads[reference]
    classes = split.class_output
    rows: dict[str, dict[str, list[NDArray[np.float64]]]] = {r: defaultdict(list) for r in models}
    alike: dict[str, list[NDArray[np.float64]]] = {r: [] for r in models if r != reference}
    logits: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
    for numbers, answers in _answer(models, reads, range(split.size)):
        progress.update(numbers[-1] + 1, split.size, "samples")
        targets, decided = split.take(numbers).targets, {}
        for role, outputs in answers.items():
            found = metric_rows(split.task.metrics, outputs, targets, split.dataset)
            for name, each in found.items():
                rows[role][name].append(each)
            decided[role] = split.task.decide(outputs, split.dataset)
            if classes is not None:
                logits[role].append(outputs[classes.output])
        for role, parts in alike.items():
            parts.append(split.task.agree(decided[reference], decided[role]))
    return ComparedAnswers(
        {
            role: {name: np.concatenate(e) for name, e in each.items()}
            for role, each in rows.items()
        },
        {role: np.concatenate(each) for role, each in alike.items()},
        {role: np.concatenate(each) for role, each in logits.items()},
    )


def decide_samples(
    models: Mapping[str, nn.Module], reads: Mapping[str, EvaluationSplit], numbers: Sequence[int]
) -> Iterator[tuple[Sequence[int], dict[str, Arrays]]]:
    """Yield some of the samples and the decisions of each model on them, by its role."""
    for some, answers in _answer(models, reads, numbers):
        yield (
            some,
            {
                role: reads[role].task.decide(outputs, reads[role].dataset)
                for role, outputs in answers.items()
            },
        )


def score_rows(name: str, model: nn.Module, split: EvaluationSplit) -> NDArray[np.float64]:
    """The rows [N, K] of the first metric of one model.

    Raises:
        InputError: if it answers something that is not finite.
    """
    score = split.task.score
    read = {name: split}
    return compare_answers({name: model}, read, name).rows[name][score.name]


def _answer(
    models: Mapping[str, nn.Module], reads: Mapping[str, EvaluationSplit], numbers: Sequence[int]
) -> Iterator[tuple[Sequence[int], dict[str, Arrays]]]:
    """Yield numbers of samples and all models' outputs to them, by role, by name."""
    count = min(each.count_at_once for each in reads.values())
    for start in range(0, len(numbers), count):
        some = numbers[start : start + count]
        found = {role: reads[role].take(some).outputs(model) for role, model in models.items()}
        for role, outputs in found.items():
            if not all(np.isfinite(each).all() for each in outputs.values()):
                raise InputError(f"{role}: got answers that are not finite, want numbers")
        yield some, found

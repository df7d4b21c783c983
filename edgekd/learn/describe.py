"""The fields of a source: which are the task's targets, and what data.json says of each."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from edgekd import fields
from edgekd.dataset import Dataset
from edgekd.dataset import check_known
from edgekd.errors import InputError
from edgekd.task import interface_of
from edgekd.task_check import require_runs
from edgekd.tasks import BUILT_IN

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Field
    from edgekd.learn.source import Source
    from edgekd.task import Task

BY_ANSWERS = next(name for name, entry in BUILT_IN.items() if entry.from_answers)
"""The task that needs no labels."""
RUN_ON = 4
"""Training samples on which a task's functions are tried before anything is trained."""


def find_strata(source: Source, task: Task, where: str) -> NDArray[np.int64] | None:
    """A number for each training sample, by the first target that has one: splits hold the same share of each.

    Raises:
        InputError: as `describe_fields`.
    """
    everything = np.arange(len(next(iter(source.splits["train"].values()))))
    for name in task.targets:
        if name in source.fields:
            field = _describe(source, name, everything, {}, where)
            rows = source.splits["train"][name]
            check_known(field, rows, f"{where}, train split", training=True)
            strata = field.strata(rows)
            if strata is not None:
                return strata
    return None


def find_names(source: Source, task: Task) -> tuple[str, ...]:
    """Names of the numbers that `find_strata` gives; empty where the source says none."""
    said = (source.fields[name].words for name in task.targets if name in source.fields)
    return tuple(next((words["names"] for words in said if "names" in words), ()))


def find_per_channel(
    source: Source,
    said: Mapping[str, Sequence[float] | None],
    published: Mapping[str, Sequence[float] | None],
) -> dict[str, tuple[float, ...]]:
    """Mean and standard deviation: the recipe's, or else those of published weights, of three the mean for grey.

    Args:
        source: what was read.
        said: by name, what the recipe says.
        published: by name, what published weights were trained with.
    """
    shapes: list[Sequence[int]] = [
        getattr(rows, "shape", ()) for rows in source.splits["train"].values()
    ]
    channels = next((shape[-1] for shape in shapes if len(shape) == 4), None)
    found = {name: tuple(values) for name, values in said.items() if values is not None}
    for name, values in published.items():
        if name not in found and values is not None and channels is not None:
            one = (sum(values) / len(values),) if channels == 1 else tuple(values)
            found[name] = one * channels if len(one) == 1 else one
    return found


def describe_fields(
    source: Source,
    task: Task,
    order: NDArray[np.int64],
    words: Mapping[str, Any],
    where: str,
) -> Dataset:
    """The data set that a source and a task are.

    Args:
        source: a sound one.
        task: its targets are not the model's to see; every other field is an input.
        order: indices of the training samples that are trained on.
        words: what the recipe says of inputs, such as ``mean``; given to those that take it.
        where: how to call the source in a message.

    Raises:
        InputError: if a row is not what its field says, the task's targets are not there, no input takes a word, or
            the task gives what nobody can use.
    """
    found = {name: _describe(source, name, order, words, where) for name in source.fields}
    targets = source.answers if task.from_answers else tuple(task.targets)
    inputs = {name: field for name, field in found.items() if name not in targets}
    for word in words:
        if not any(word in _parameters(type(field)) for field in inputs.values()):
            raise InputError(f"data.{word}: got it for data without an input that takes it")
    made = Dataset(
        task="",
        inputs=inputs,
        targets={name: found[name] for name in targets if name in found},
        notes=source.notes,
        skipped=source.skipped,
    )
    train = source.splits["train"]
    labelled = made.find_labelled(train)
    for split, rows in source.splits.items():
        made.check(rows, f"{where}, {split} split", training=split == "train")
    order = order if labelled is None else order[labelled[order]]
    try:
        interface_of(task, made)
        first = {name: train[name][order[:RUN_ON]] for name in made.targets}
        require_runs(task, made.prepare_targets(first), made)
    except ValueError as error:
        hint = "" if made.targets else f"task: {BY_ANSWERS} judges an ONNX file by its own answers"
        raise InputError(f"{where}: {error}", hint=hint) from error
    return made


def _describe(
    source: Source, name: str, order: NDArray[np.int64], words: Mapping[str, Any], where: str
) -> Field:
    kind, said = source.fields[name]
    rows = source.splits["train"][name]
    try:
        found = fields.find_field(kind)
        taken = {word: value for word, value in words.items() if word in _parameters(found)}
        return found.describe(rows, order, **{**said, **taken})
    except InputError as error:  # it says where in the source
        raise InputError(f"{where}, {error}", hint=error.hint) from error
    except (ValueError, TypeError) as error:
        raise InputError(f"{where}: {name}: {error}") from error


def _parameters(kind: type[Field]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(kind.describe).parameters

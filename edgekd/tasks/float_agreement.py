"""No labels: a model is judged by how near its answers are to those of the float model that the run began with.

An answer is compared in spreads: the root of the mean square of how far the float model's own answers lie from their
mean. So an output of a single number counts like one of a million, which an angle between vectors would not tell. What
varies less than a hundredth of its own size, or of 1 where it is a probability, is compared in such hundredths: all that
varies there may be the rounding of one engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from edgekd.task import Metric
from edgekd.task import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.dataset import Dataset
    from edgekd.field import Arrays

SAME = 0.05
"""Answers nearer than this share of their unit are the same."""
LEAST_UNIT = 0.01
"""Of the size of an output: the least unit in which it is compared."""
_LEAST, _MOST = 1e-30, 1e30


def square_distances(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, K]: of each of K outputs the mean square of how far it is from the float model's answer, in its units."""
    columns = [
        (_distance(outputs[name], targets[name]) / _unit(dataset, name)) ** 2
        for name in dataset.targets
    ]
    return np.stack(columns, axis=1).clip(0, _MOST)


def agreement(rows: NDArray[np.float64]) -> float:
    """The mean over outputs of 1 less the root of the mean square over samples, 0 from one unit on: also what always
    gives the mean answer has 0, however rarely the answers leave it.

    Args:
        rows: as `square_distances` gives them.
    """
    return float((1 - np.sqrt(rows.mean(axis=0))).clip(0, 1).mean())


def cosines(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, K]: the cosine between each output and the float model's."""
    columns = []
    for name in dataset.targets:
        one, other = _flat(outputs[name]), _flat(targets[name])
        lengths = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
        same = (one == other).all(axis=1)
        product = (one * other).sum(axis=1) / np.maximum(lengths, _LEAST)
        columns.append(np.where(same, 1.0, product))
    return np.stack(columns, axis=1).clip(-1, 1)


def mean(rows: NDArray[np.float64]) -> float:
    """Over samples and outputs."""
    return float(rows.mean())


def decide(outputs: Arrays, dataset: Dataset) -> Arrays:
    """By output the most probable class where its rows are probabilities, else its numbers in units."""
    found: dict[str, NDArray[Any]] = {}
    for name in dataset.targets:
        axis = _facts(dataset, name)["class_axis"]
        if axis:
            found[name] = outputs[name].argmax(axis=axis)
        else:
            found[name] = outputs[name].astype(np.float64) / _unit(dataset, name)
    return found


def agree(one: Arrays, other: Arrays) -> NDArray[np.float64]:
    """The mean over outputs: the share of places with the same class; of numbers 1 where they lie nearer than `SAME`
    units, less with the distance, 0 from one unit on."""
    columns = []
    for name, mine in one.items():
        if mine.dtype.kind in "iu":
            columns.append(_flat(mine == other[name]).mean(axis=1))
        else:
            columns.append((1 - _distance(mine, other[name])).clip(0, 1 - SAME) / (1 - SAME))
    return np.asarray(np.stack(columns, axis=1).mean(axis=1), np.float64)


def guess(targets: Arrays, dataset: Dataset) -> Arrays:
    """The mean answer, for every sample; a unit beside it where answers hardly vary, so that a guess is as good there as
    any model."""
    found = {}
    for name, each in targets.items():
        usual = np.repeat(each.astype(np.float64).mean(axis=0, keepdims=True), len(each), axis=0)
        unit = _unit(dataset, name)
        found[name] = usual + (unit if unit > float(_facts(dataset, name)["spread"]) else 0.0)
    return found


def describe(
    decisions: Arrays, dataset: Dataset, count: int
) -> list[list[tuple[str, float | None]]]:
    """A line an output, `count` at most: its class, or its size and range."""
    lines: list[list[tuple[str, float | None]]] = [[] for _ in next(iter(decisions.values()))]
    for name, each in list(decisions.items())[:count]:
        for row, said in zip(each, lines, strict=True):
            said.append((f"{name}: {_line(row, _unit(dataset, name))}", None))
    return lines


def _line(row: NDArray[Any], unit: float) -> str:
    row = np.asarray(row)
    if row.dtype.kind in "iu":
        return f"class {row}" if row.ndim == 0 else f"{list(row.shape)} classes"
    numbers = row * unit
    if numbers.size == 1:
        return f"{numbers.item():.6g}"
    low, middle, high = numbers.min(), numbers.mean(), numbers.max()
    return f"{list(row.shape)} from {low:.4g} to {high:.4g}, mean {middle:.4g}"


def _flat(values: NDArray[Any]) -> NDArray[np.float64]:
    return values.reshape(len(values), -1).astype(np.float64)


def _distance(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """[N]: the root of the mean square."""
    return np.asarray(np.sqrt(((_flat(one) - _flat(other)) ** 2).mean(axis=1)))


def _facts(dataset: Dataset, name: str) -> dict[str, Any]:
    return dataset.targets[name].to_json()


def _unit(dataset: Dataset, name: str) -> float:
    """What an output is compared in; 1 where all of the float model's answers are 0."""
    facts = _facts(dataset, name)
    return max(float(facts["spread"]), LEAST_UNIT * float(facts["size"])) or 1.0


TASK = Task(
    targets={},
    outputs=(),
    losses=("mean-squared-error",),
    metrics=(
        Metric("agreement", "fraction", "higher", square_distances, agreement),
        Metric("cosine", "fraction", "higher", cosines, mean),
    ),
    decide=decide,
    agree=agree,
    guess=guess,
    describe=describe,
    soft_losses=("value-mse",),
    from_answers=True,
)
"""The mean agreement with the float model; the mean cosine beside it."""

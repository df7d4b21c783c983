"""Numbers of a sample: a price, an angle, several quantities at once.

A model gives them as its targets are prepared: standardized, in spreads from the mean (`edgekd.fields.number`).
Decisions and metrics are in the targets' unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from edgekd.interface import BATCH
from edgekd.interface import Tensor
from edgekd.task import Metric
from edgekd.task import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.dataset import Dataset
    from edgekd.field import Arrays

SAME = 0.01
"""Answers that differ by less than this share of a column's spread are the same."""


def decide(outputs: Arrays, dataset: Dataset) -> Arrays:
    """``values`` [N, K] in the targets' unit, and ``standardized`` [N, K], in spreads from their mean."""
    mean, std = _mean_and_std(dataset)
    standardized = outputs["values"].astype(np.float64)
    return {"values": standardized * std + mean, "standardized": standardized}


def agree(one: Arrays, other: Arrays) -> NDArray[np.float64]:
    """1 where two answers differ by less than `SAME` spreads, less with the distance, 0 from a whole spread on; the
    mean over the columns."""
    distance = np.abs(one["standardized"] - other["standardized"])
    return np.asarray(((1 - distance) / (1 - SAME)).clip(0, 1).mean(axis=1), np.float64)


def errors(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, K]: answer less target, in its unit."""
    _, std = _mean_and_std(dataset)
    return (outputs["values"].astype(np.float64) - targets["numbers"]) * std


def errors_and_targets(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, 2 K]: answer less target, and the target less its mean in training, in its unit."""
    _, std = _mean_and_std(dataset)
    numbers = targets["numbers"].astype(np.float64) * std
    return np.concatenate([errors(outputs, targets, dataset), numbers], axis=1)


def root_mean_squared_error(rows: NDArray[np.float64]) -> float:
    """Of each column, and of these the mean; rows as `errors` gives them."""
    return float(np.sqrt((rows**2).mean(axis=0)).mean())


def mean_absolute_error(rows: NDArray[np.float64]) -> float:
    """The mean over samples and columns; rows as `errors` gives them."""
    return float(np.abs(rows).mean())


def determination(rows: NDArray[np.float64]) -> float:
    """R2: 1 less the squared errors over the targets' squared distances from their mean, the mean over the columns.

    A column whose targets are all alike has 1 where all its answers are right, else 0.
    """
    wrong, targets = np.split(rows, 2, axis=1)
    residual = (wrong**2).sum(axis=0)
    total = ((targets - targets.mean(axis=0)) ** 2).sum(axis=0)
    explained = 1 - residual / np.where(total > 0, total, 1)
    return float(np.where(total > 0, explained, residual == 0).mean())


def guess(targets: Arrays, dataset: Dataset) -> Arrays:
    """The mean of the targets, for every sample."""
    numbers = targets["numbers"].astype(np.float64)
    return {"values": np.tile(numbers.mean(axis=0), (len(numbers), 1))}


def describe(
    decisions: Arrays, dataset: Dataset, count: int
) -> list[list[tuple[str, float | None]]]:
    """The first `count` columns with their numbers and unit."""
    facts = _facts(dataset)
    unit = f" {facts['unit']}" if facts["unit"] else ""
    names = facts["columns"][:count]
    return [
        [(f"{name}: {value:.6g}{unit}", None) for name, value in zip(names, row, strict=False)]
        for row in decisions["values"].tolist()
    ]


def _mean_and_std(dataset: Dataset) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[K] each, of the targets."""
    facts = _facts(dataset)
    return np.array(facts["mean"], np.float64), np.array(facts["std"], np.float64)


def _facts(dataset: Dataset) -> dict[str, Any]:
    return dataset.targets["numbers"].to_json()


TASK = Task(
    targets={"numbers": "number"},
    outputs=(Tensor("values", "float32", (BATCH, "numbers"), target="numbers"),),
    losses=("mean-squared-error",),
    metrics=(
        Metric("RMSE", "number", "lower", errors, root_mean_squared_error, 0.0),
        Metric("MAE", "number", "lower", errors, mean_absolute_error, 0.0),
        Metric("R2", "number", "higher", errors_and_targets, determination),
    ),
    decide=decide,
    agree=agree,
    guess=guess,
    describe=describe,
    soft_losses=("value-mse",),
    chance_metric="R2",
)
"""The root of the mean squared error, in the target's unit; R2 tells it from guessing."""

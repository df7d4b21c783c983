"""Any number of classes a sample, each there or not."""

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


def decide(outputs: Arrays, dataset: Dataset) -> Arrays:
    """``classes`` [N, C], whether a logit is above 0, and ``probabilities`` [N, C]."""
    logits = outputs["logits"].astype(np.float64)
    half = np.exp(-np.abs(logits))  # never overflows
    return {
        "classes": logits > 0,
        "probabilities": np.where(logits > 0, 1, half) / (1 + half),
    }


def agree(one: Arrays, other: Arrays) -> NDArray[np.float64]:
    """Of the classes that either names, the share that both name; 1 where neither names any."""
    both = (one["classes"] & other["classes"]).sum(axis=1)
    either = (one["classes"] | other["classes"]).sum(axis=1)
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


def scores(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, 2 C]: the logits, and which classes are there."""
    return np.concatenate([outputs["logits"].astype(np.float64), targets["labels"]], axis=1)


def mark_named(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, 2 C]: whether a logit is above 0, and which classes are there."""
    return np.concatenate([outputs["logits"] > 0, targets["labels"]], axis=1).astype(np.float64)


def mean_average_precision(rows: NDArray[np.float64]) -> float:
    """The mean over the classes that occur of the average precision; 0 where none does. Rows as `scores` gives them."""
    logits, labels = np.split(rows, 2, axis=1)
    occurring = np.flatnonzero(labels.any(axis=0))
    if not len(occurring):
        return 0.0
    return float(np.mean([average_precision(logits[:, n], labels[:, n]) for n in occurring]))


def average_precision(logits: NDArray[np.float64], labels: NDArray[np.float64]) -> float:
    """The precision at every distinct score of one class, weighted by the recall that is won there.

    Args:
        logits: [N].
        labels: [N], 0 or 1, some of them 1.
    """
    order = np.argsort(-logits, kind="stable")
    right = np.cumsum(labels[order])
    last = np.append(np.flatnonzero(np.diff(logits[order])), len(order) - 1)  # of equal scores
    won = np.diff(right[last], prepend=0.0)
    return float((won * right[last] / (last + 1)).sum() / right[-1])


def micro_f1(rows: NDArray[np.float64]) -> float:
    """The harmonic mean of precision and recall over all classes together; 0 where none is named or occurs. Rows as
    `mark_named` gives them."""
    found, labels = np.split(rows, 2, axis=1)
    either = found.sum() + labels.sum()
    return float(2 * (found * labels).sum() / either) if either else 0.0


def macro_f1(rows: NDArray[np.float64]) -> float:
    """The mean over the classes, named or occurring, of the harmonic mean of precision and recall; 0 where there is
    none. Rows as `mark_named` gives them."""
    found, labels = np.split(rows, 2, axis=1)
    either = found.sum(axis=0) + labels.sum(axis=0)
    right = (found * labels).sum(axis=0)[either > 0]
    return float((2 * right / either[either > 0]).mean()) if len(right) else 0.0


def guess(targets: Arrays, dataset: Dataset) -> Arrays:
    """The logit of how often each class is there, for every sample."""
    labels = targets["labels"].astype(np.float64)
    share = labels.mean(axis=0)
    logits = np.log(share + 1e-9) - np.log(1 - share + 1e-9)
    return {"logits": np.tile(logits, (len(labels), 1))}


def describe(
    decisions: Arrays, dataset: Dataset, count: int
) -> list[list[tuple[str, float | None]]]:
    """The `count` likeliest names with their probabilities; of equal ones, the earlier first."""
    names = _names(dataset)
    order = np.argsort(-decisions["probabilities"], axis=1, kind="stable")[:, :count]
    return [
        [(names[at], float(row[at])) for at in chosen]
        for row, chosen in zip(decisions["probabilities"], order.tolist(), strict=True)
    ]


def _names(dataset: Dataset) -> Any:
    return dataset.targets["labels"].to_json()["names"]


TASK = Task(
    targets={"labels": "classes"},
    outputs=(Tensor("logits", "float32", (BATCH, "classes"), "logits", target="labels"),),
    losses=("binary-cross-entropy",),
    metrics=(
        Metric("mean average precision", "fraction", "higher", scores, mean_average_precision),
        Metric("micro F1", "fraction", "higher", mark_named, micro_f1),
        Metric("macro F1", "fraction", "higher", mark_named, macro_f1),
    ),
    decide=decide,
    agree=agree,
    guess=guess,
    describe=describe,
    soft_losses=("binary-kd",),
)
"""Mean average precision; a guess ranks all samples alike."""

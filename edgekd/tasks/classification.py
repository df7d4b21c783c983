"""One class a sample, of whatever is seen: an image, a text, a sound."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from edgekd.interface import BATCH
from edgekd.interface import Tensor
from edgekd.task import Metric
from edgekd.task import Task
from edgekd.task import ratio
from edgekd.units import percent_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.dataset import Dataset
    from edgekd.field import Arrays

LIKELIEST = 5
"""Classes among which ``top-5 accuracy`` looks for the label."""
MOST_RANKED = 100
"""Classes up to which ``AUROC`` is asked for: a sample's row is a number a class."""
RENAMED = 0.45
"""How much of the way from chance to perfect it goes with its classes renamed, if their order was the cause."""


def decide(outputs: Arrays, dataset: Dataset) -> Arrays:
    """``class`` [N] and ``probabilities`` [N, C]."""
    logits = outputs["logits"].astype(np.float64)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return {
        "class": outputs["logits"].argmax(1),
        "probabilities": raised / raised.sum(axis=1, keepdims=True),
    }


def agree(one: Arrays, other: Arrays) -> NDArray[np.float64]:
    """1 where both name the same class."""
    return np.asarray(one["class"] == other["class"], np.float64)


def correct(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, 2]: whether the largest logit is at the label, and 1."""
    right = outputs["logits"].argmax(1) == targets["labels"]
    return np.stack([right, np.ones(len(right))], axis=1)


def confusion(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, 2]: the class that is named, and the label."""
    return np.stack([outputs["logits"].argmax(1), targets["labels"]], axis=1).astype(np.float64)


def balanced_accuracy(rows: NDArray[np.float64]) -> float:
    """The mean over the classes that occur of the share that is right; rows as `confusion` gives them."""
    named, labels = rows.T.astype(np.int64)
    counts = np.bincount(labels)
    right = np.bincount(labels[named == labels], minlength=len(counts))
    return float((right[counts > 0] / counts[counts > 0]).mean())


def macro_f1(rows: NDArray[np.float64]) -> float:
    """The mean over the classes, named or occurring, of the harmonic mean of precision and recall."""
    named, labels = rows.T.astype(np.int64)
    classes = int(max(named.max(), labels.max())) + 1
    right = np.bincount(labels[named == labels], minlength=classes)
    either = np.bincount(named, minlength=classes) + np.bincount(labels, minlength=classes)
    return float((2 * right[either > 0] / either[either > 0]).mean())


def among_likeliest(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, 2]: whether fewer than `LIKELIEST` logits are above that of the label, and 1."""
    logits, labels = outputs["logits"], targets["labels"]
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    right = (logits > own).sum(1) < LIKELIEST
    return np.stack([right, np.ones(len(right))], axis=1).astype(np.float64)


def rank_classes(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, C + 1]: the logarithm of each class's probability, and the label."""
    logits = outputs["logits"].astype(np.float64)
    lowered = logits - logits.max(axis=1, keepdims=True)
    likely = lowered - np.log(np.exp(lowered).sum(axis=1, keepdims=True))
    return np.concatenate([likely, targets["labels"][:, None]], axis=1)


def area_under_curve(rows: NDArray[np.float64]) -> float:
    """The mean, over the classes that occur beside others, of the chance that a sample of the class is given a higher
    probability of it than a sample of another, equal ones half (Hanley and McNeil 1982, Radiology 143); a half where
    there is but one class. Rows as `rank_classes` gives them."""
    likely, labels = rows[:, :-1], rows[:, -1].astype(np.int64)
    areas = []
    for name in np.unique(labels):
        own = labels == name
        others = len(labels) - int(own.sum())
        if not others:
            return 0.5
        _, places, counts = np.unique(likely[:, name], return_inverse=True, return_counts=True)
        ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
        count = int(own.sum())
        areas.append((ranks[own].sum() - count * (count + 1) / 2) / (count * others))
    return float(np.mean(areas))


def _has_more_classes(dataset: Dataset) -> bool:
    return bool(dataset.targets["labels"].target_sizes()["classes"] > LIKELIEST)


def _has_few_classes(dataset: Dataset) -> bool:
    return bool(dataset.targets["labels"].target_sizes()["classes"] <= MOST_RANKED)


def guess(targets: Arrays, dataset: Dataset) -> Arrays:
    """The logarithm of how often each class occurs, for every sample."""
    classes = dataset.targets["labels"].target_sizes()["classes"]
    counts = np.bincount(targets["labels"], minlength=classes)
    return {"logits": np.tile(np.log(counts + 1e-9), (len(targets["labels"]), 1))}


def describe(
    decisions: Arrays, dataset: Dataset, count: int
) -> list[list[tuple[str, float | None]]]:
    """The `count` likeliest names with their probabilities; of equal ones, the earlier first."""
    names = dataset.targets["labels"].to_json()["names"]
    order = np.argsort(-decisions["probabilities"], axis=1, kind="stable")[:, :count]
    return [
        [(names[at], float(row[at])) for at in chosen]
        for row, chosen in zip(decisions["probabilities"], order.tolist(), strict=True)
    ]


def explain_chance(outputs: Arrays, targets: Arrays, dataset: Dataset) -> str:
    """Return whether its classes are the data's in another order."""
    return find_renaming(outputs["logits"], targets["labels"])


def find_renaming(logits: NDArray[Any], labels: NDArray[Any]) -> str:
    """Return what the best renaming of the classes of `logits` [N, C] reaches, if it explains what is wrong with
    them, in a sentence; else nothing (Kuhn 1955, Naval Research Logistics 2)."""
    from scipy.optimize import linear_sum_assignment

    counts = np.zeros((logits.shape[1], logits.shape[1]))
    np.add.at(counts, (logits.argmax(1), labels), 1)
    shares = counts / np.maximum(counts.sum(0), 1)
    rows, columns = linear_sum_assignment(-shares)
    occurring = len(np.unique(labels))
    reached, chance = float(shares[rows, columns].sum()) / occurring, 1 / max(2, occurring)
    if (reached - chance) / (1 - chance) < RENAMED:
        return ""
    return f"its classes are in another order: renamed, it reaches {percent_text(reached)}"


TASK = Task(
    targets={"labels": "class"},
    outputs=(Tensor("logits", "float32", (BATCH, "classes"), "logits", 0, 1, "labels"),),
    losses=("cross-entropy",),
    metrics=(
        Metric("accuracy", "fraction", "higher", correct, ratio),
        Metric("balanced accuracy", "fraction", "higher", confusion, balanced_accuracy),
        Metric("macro F1", "fraction", "higher", confusion, macro_f1),
        Metric(
            "top-5 accuracy", "fraction", "higher", among_likeliest, ratio, fits=_has_more_classes
        ),
        Metric(
            "AUROC", "fraction", "higher", rank_classes, area_under_curve, fits=_has_few_classes
        ),
    ),
    decide=decide,
    agree=agree,
    guess=guess,
    describe=describe,
    soft_losses=({"name": "kd", "temperature": 2.0},),
    chance_metric="balanced accuracy",
    explain_chance=explain_chance,
    least_agreement=0.7,
)
"""Accuracy, and what tells it from guessing."""

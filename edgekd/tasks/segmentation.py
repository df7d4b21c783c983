"""A class of every pixel of an image."""

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


def decide(outputs: Arrays, dataset: Dataset) -> Arrays:
    """``map`` [N, H, W], the class with the largest logit of every pixel."""
    return {"map": outputs["logits"].argmax(1)}


def agree(one: Arrays, other: Arrays) -> NDArray[np.float64]:
    """The share of pixels of which both say the same."""
    return np.asarray((one["map"] == other["map"]).mean(axis=(1, 2)), np.float64)


def overlaps(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, 2 C]: of every class the pixels that both the answer and the map give it, and those that either does; where
    the map is ignored, none."""
    facts = _facts(dataset)
    classes, ignored = len(facts["names"]), facts["ignored"]
    rows = np.empty((len(targets["maps"]), 2 * classes))
    for row, logits, classes_there in zip(rows, outputs["logits"], targets["maps"], strict=True):
        counted = classes_there != ignored
        there, said = classes_there[counted], logits.argmax(0)[counted]
        pairs = np.bincount(there * classes + said, minlength=classes**2)
        table = pairs.reshape(classes, classes)
        both = table.diagonal()
        row[:classes], row[classes:] = both, table.sum(0) + table.sum(1) - both
    return rows


def correct_pixels(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, 2]: how many pixels are right, and how many count."""
    maps, ignored = targets["maps"], _facts(dataset)["ignored"]
    right, counted = outputs["logits"].argmax(1) == maps, maps != ignored  # which is no class
    return np.stack([right.sum((1, 2)), counted.sum((1, 2))], axis=1).astype(np.float64)


def mean_intersection_over_union(rows: NDArray[np.float64]) -> float:
    """The mean over the classes, named or occurring, of the pixels in common over those of either, all samples
    together; 0 where there is none. Rows as `overlaps` gives them."""
    both, either = np.split(rows.sum(axis=0), 2)
    return float((both[either > 0] / either[either > 0]).mean()) if either.any() else 0.0


def guess(targets: Arrays, dataset: Dataset) -> Arrays:
    """The logarithm of how often each class occurs, for every pixel."""
    facts, maps = _facts(dataset), targets["maps"]
    classes = len(facts["names"])
    counts = np.bincount(maps[maps != facts["ignored"]], minlength=classes)
    logits = np.log(counts + 1e-9).reshape(1, classes, 1, 1)
    return {"logits": np.broadcast_to(logits, (len(maps), classes, *maps.shape[1:]))}


def describe(
    decisions: Arrays, dataset: Dataset, count: int
) -> list[list[tuple[str, float | None]]]:
    """The `count` largest classes of each map with their share of it; of equal ones, the earlier first."""
    names = _facts(dataset)["names"]
    lines: list[list[tuple[str, float | None]]] = []
    for each in decisions["map"]:
        shares = np.bincount(each.ravel(), minlength=len(names)) / each.size
        order = np.argsort(-shares, kind="stable")[:count]
        lines.append(
            [
                (f"{names[at]}: {percent_text(shares[at])} of the map", None)
                for at in order
                if shares[at]
            ]
        )
    return lines


def _facts(dataset: Dataset) -> dict[str, Any]:
    return dataset.targets["maps"].to_json()


TASK = Task(
    targets={"maps": "map"},
    outputs=(
        Tensor("logits", "float32", (BATCH, "classes", "height", "width"), "logits", 0, 1, "maps"),
    ),
    losses=("cross-entropy",),
    metrics=(
        Metric("mIoU", "fraction", "higher", overlaps, mean_intersection_over_union),
        Metric("pixel accuracy", "fraction", "higher", correct_pixels, ratio),
    ),
    decide=decide,
    agree=agree,
    guess=guess,
    describe=describe,
    soft_losses=({"name": "kd", "temperature": 1.0},),
    least_agreement=0.7,
)
"""The mean over classes of intersection over union; a guess gives every pixel the commonest class."""

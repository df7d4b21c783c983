"""A vector of length 1 of a text: texts that belong together have vectors that are close."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from edgekd.interface import BATCH
from edgekd.interface import Tensor
from edgekd.task import Metric
from edgekd.task import Task
from edgekd.task import ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.dataset import Dataset
    from edgekd.field import Arrays

SHOWN = 4
"""Numbers of a vector that a line shows."""


def decide(outputs: Arrays, dataset: Dataset) -> Arrays:
    """``embedding`` [N, D], of length 1."""
    return {"embedding": _to_unit(outputs["embedding"])}


def agree(one: Arrays, other: Arrays) -> NDArray[np.float64]:
    """The cosine between both vectors; 0 where they point away from each other."""
    cosines = (one["embedding"] * other["embedding"]).sum(axis=1)
    return np.asarray(np.clip(cosines, 0, 1), np.float64)


def place_vectors(outputs: Arrays, targets: Arrays, dataset: Dataset) -> NDArray[np.float64]:
    """[N, D + 3]: the vector of length 1, the number of its pair, which of the two it is, and how alike they are."""
    return np.concatenate([_to_unit(outputs["embedding"]), targets["pairs"]], axis=1)


def recall(rows: NDArray[np.float64], *, among: int) -> float:
    """The share of texts with a partner that is among the nearest others, by the cosine; 0 where none has a partner.

    Rows as `place_vectors` gives them; one that comes several times counts once, since it would be its own nearest.
    """
    return ratio(find_partners(rows, among=among))


def find_partners(rows: NDArray[np.float64], *, among: int) -> NDArray[np.float64]:
    """[G, 2] of G groups of texts that belong together: how many of them have a partner among the nearest others, and how
    many have one at all. A group is the unit that may be drawn anew: its texts find one another."""
    rows = _drop_repeated(rows)
    vectors, numbers = rows[:, :-3], rows[:, -3]
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    is_found = np.zeros(len(rows), bool)
    everyone = np.arange(len(rows))
    for _ in range(min(among, len(rows) - 1)):
        nearest = cosines.argmax(axis=1)
        is_found |= numbers[nearest] == numbers
        cosines[everyone, nearest] = -np.inf
    _, group, size = np.unique(numbers, return_inverse=True, return_counts=True)
    asked = size[group] > 1
    counted = [np.bincount(group, each, len(size)) for each in (asked & is_found, asked)]
    return np.stack(counted, axis=1)


def _drop_repeated(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    _, first = np.unique(rows[:, -3:-1], axis=0, return_index=True)
    return rows[first]


def rank_correlation(rows: NDArray[np.float64]) -> float:
    """Spearman's, over the pairs, of the cosine with how alike both are said to be, equal ones sharing their ranks
    (Spearman 1904); 0 where there are fewer than two pairs, or all are alike. Rows as `place_vectors` gives them."""
    rows = _drop_repeated(rows)
    numbers = rows[:, -3]
    first = np.flatnonzero(numbers[1:] == numbers[:-1])
    if len(first) < 2:
        return 0.0
    cosines = (rows[first, :-3] * rows[first + 1, :-3]).sum(axis=1)
    ranks = [each - each.mean() for each in map(_rank, (cosines, rows[first, -1]))]
    size = np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum())
    return float((ranks[0] * ranks[1]).sum() / size) if size else 0.0


def _rank(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[places.ravel()])


def _to_unit(vectors: NDArray[Any]) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    return np.asarray(wide / np.maximum(np.sqrt((wide**2).sum(axis=1, keepdims=True)), 1e-12))


def _is_scored(dataset: Dataset) -> bool:
    return bool(dataset.targets["pairs"].to_json()["scored"])


def guess(targets: Arrays, dataset: Dataset) -> Arrays:
    """The same vector for every text."""
    return {"embedding": np.ones((len(targets["pairs"]), dataset.sizes()["dimensions"]))}


def describe(
    decisions: Arrays, dataset: Dataset, count: int
) -> list[list[tuple[str, float | None]]]:
    """The first numbers of each vector."""
    lines: list[list[tuple[str, float | None]]] = []
    for vector in decisions["embedding"]:
        numbers = " ".join(f"{value:.3f}" for value in vector[:SHOWN])
        lines.append([(f"{len(vector)} numbers: {numbers} ...", None)])
    return lines


def explain_chance(outputs: Arrays, targets: Arrays, dataset: Dataset) -> str:
    """There are no labels here that could be in another order."""
    return "pairs whose texts say different things, another pooling or tokenizer, or other weights"


TASK = Task(
    targets={"pairs": "pairs"},
    outputs=(Tensor("embedding", "float32", (BATCH, "dimensions"), target="pairs"),),
    losses=("pair-contrast",),
    metrics=(
        Metric(
            "recall@1",
            "fraction",
            "higher",
            place_vectors,
            functools.partial(recall, among=1),
            settle=functools.partial(find_partners, among=1),
        ),
        Metric(
            "recall@5",
            "fraction",
            "higher",
            place_vectors,
            functools.partial(recall, among=5),
            settle=functools.partial(find_partners, among=5),
        ),
        Metric("Spearman", "number", "higher", place_vectors, rank_correlation, fits=_is_scored),
    ),
    decide=decide,
    agree=agree,
    guess=guess,
    describe=describe,
    explain_chance=explain_chance,
    soft_losses=("value-cosine", "similarity-kl"),
    least_agreement=0.9,
)
"""How often a text's partner is the nearest of all others; a guess tells no two texts apart."""

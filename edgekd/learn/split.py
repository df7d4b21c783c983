"""How samples are shared out among training, validation and test: a function of labels and seed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgekd.learn.source import Source
from edgekd.learn.source import Split

_TEST, _VALIDATION, _TRAIN = 0, 1, 2
"""Which of the seed's streams serves what; a split does not move when another one is drawn."""


class Part(NamedTuple):
    """Some samples of a split, in an order; nothing is copied."""

    split: Split
    order: np.ndarray
    """int64 [n], distinct indices into the split."""


def stratified(
    labels: np.ndarray, fraction: float, seed: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Indices kept and indices held back, both shuffled; each class gives its share.

    Args:
        labels: int64 [N].
        fraction: of each class that is held back, rounded, but at least one and never all.
        seed: of numpy's PCG64.

    Returns:
        Two disjoint int64 arrays that together are 0 to N - 1.

    Raises:
        ValueError: if a class has one sample only, which cannot stand on both sides.
    """
    counts = np.bincount(labels)
    if (counts == 1).any():
        raise ValueError(f"got 1 sample of class {int((counts == 1).argmax())}, want 2 or more")
    shares = np.where(counts, np.clip(np.rint(counts * fraction), 1, np.maximum(counts - 1, 1)), 0)
    generator = np.random.Generator(np.random.PCG64(seed))
    order = generator.permutation(len(labels))
    by_class = np.argsort(labels[order], kind="stable")
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    held = np.empty(len(labels), bool)
    held[by_class] = np.arange(len(labels)) - starts < np.repeat(shares, counts)
    # Each side opens with the classes whose share was full first (or last): shuffle once more.
    return generator.permutation(order[~held]), generator.permutation(order[held])


def divide(
    source: Source, *, validation: float, test: float, limit: int | None, seed: int
) -> dict[str, Part]:
    """Training, validation and test samples of `source`, by those names.

    A split that `source` has is taken whole; one that it lacks is held back from the training
    split, stratified. Training and validation samples are shuffled, so that their first n are a
    fair sample; a test split of the source keeps its order.

    Args:
        source: a checked one.
        validation: fraction held back where there is no validation split.
        test: fraction held back, before that, where there is no test split.
        limit: training samples to keep; None keeps all.
        seed: what all of it is drawn from.

    Raises:
        ValueError: if a class is too small to be shared out or gone after `limit`.
    """
    labels = source.train.labels
    rest = _shuffled(len(labels), [seed, _TRAIN])
    parts = {}
    if source.test is None:
        kept, held = stratified(labels[rest], test, [seed, _TEST])
        parts["test"] = Part(source.train, rest[held])
        rest = rest[kept]
    else:
        parts["test"] = Part(source.test, np.arange(len(source.test.labels)))
    if source.validation is None:
        kept, held = stratified(labels[rest], validation, [seed, _VALIDATION])
        parts["validation"] = Part(source.train, rest[held])
        rest = rest[kept]
    else:
        order = _shuffled(len(source.validation.labels), [seed, _VALIDATION])
        parts["validation"] = Part(source.validation, order)
    rest = rest[:limit]
    counts = np.bincount(labels[rest], minlength=len(source.classes))
    if not counts.all():
        gone = int(counts.argmin())
        raise ValueError(f"got no training sample of class {gone} in {len(rest)}, want some")
    return {"train": Part(source.train, rest), **parts}


def _shuffled(count: int, seed: list[int]) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).permutation(count)

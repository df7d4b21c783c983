"""How samples are shared out among training, validation and test: a function of strata and seed."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgekd import splits
from edgekd.errors import InputError

_TEST, _VALIDATION, _TRAIN = 0, 1, 2
"""Which of the seed's streams serves what; a split does not move when another one is drawn."""


class SplitShare(NamedTuple):
    """Some samples of one of a source's splits, in an order."""

    split: str
    """Name of the source's."""
    order: np.ndarray
    """int64 [n], distinct indices into it."""


def split_stratified(
    labels: np.ndarray, fraction: float, seed: list[int], names: Sequence[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Indices kept and indices held back, both shuffled; each class gives its share.

    Args:
        labels: int64 [N].
        fraction: of each class that is held back, rounded, but at least one and never all.
        seed: of numpy's PCG64.
        names: of the classes, for messages; empty where they have none.

    Returns:
        Two disjoint int64 arrays that together are 0 to N - 1.

    Raises:
        ValueError: if a class has one sample only, which cannot stand on both sides.
    """
    counts = np.bincount(labels)
    if (counts == 1).any():
        number = int((counts == 1).argmax())
        which = names[number] if number < len(names) else str(number)
        raise ValueError(f"got 1 sample of class {which}, want 2 or more")
    shares = np.where(counts, np.clip(np.rint(counts * fraction), 1, np.maximum(counts - 1, 1)), 0)
    generator = np.random.Generator(np.random.PCG64(seed))
    order = generator.permutation(len(labels))
    by_class = np.argsort(labels[order], kind="stable")
    starts = np.repeat(np.cumsum(counts) - counts, counts)
    held = np.empty(len(labels), bool)
    held[by_class] = np.arange(len(labels)) - starts < np.repeat(shares, counts)
    # Each side opens with the classes whose share was full first (or last): shuffle once more.
    return generator.permutation(order[~held]), generator.permutation(order[held])


def divide_samples(
    counts: Mapping[str, int],
    strata: np.ndarray | None,
    *,
    validation: float,
    test: float,
    limit: int | None,
    seed: int,
    names: Sequence[str] = (),
) -> dict[str, SplitShare]:
    """Training, validation and test samples of a source, by those names.

    A split that the source has is taken whole; one that it lacks is held back from the training
    split, stratified. Training and validation samples are shuffled, so that their first n are a
    fair sample; a test split of the source keeps its order.

    Args:
        counts: samples by split of the source.
        strata: a number [N] for each of its training samples, such as the class; None where there is none. A sample
            of a number below 0 stays in training.
        validation: fraction held back where there is no validation split.
        test: fraction held back, before that, where there is no test split.
        limit: training samples to keep; None keeps all.
        seed: what all of it is drawn from.
        names: of the strata, for messages.

    Raises:
        ValueError: if a stratum is too small to be shared out.
    """
    if strata is None:
        strata = np.zeros(counts["train"], np.int64)
    rest = _shuffled(counts["train"], [seed, _TRAIN])
    shares = {}
    if "test" in counts:
        shares["test"] = SplitShare("test", np.arange(counts["test"]))
    else:
        rest, held = _hold_back(rest, strata, test, [seed, _TEST], names)
        shares["test"] = SplitShare("train", held)
    if "validation" in counts:
        order = _shuffled(counts["validation"], [seed, _VALIDATION])
        shares["validation"] = SplitShare("validation", order)
    else:
        rest, held = _hold_back(rest, strata, validation, [seed, _VALIDATION], names)
        shares["validation"] = SplitShare("train", held)
    return {"train": SplitShare("train", rest[:limit]), **shares}


def _hold_back(
    rest: np.ndarray, strata: np.ndarray, fraction: float, seed: list[int], names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """The samples kept and those held back, of which none has a number below 0."""
    is_free = strata[rest] >= 0
    free, bound = rest[is_free], rest[~is_free]
    kept, held = split_stratified(strata[free], fraction, seed, names)
    if not len(bound):
        return free[kept], free[held]
    together = np.concatenate([free[kept], bound])
    return together[_shuffled(len(together), [*seed, _TRAIN])], free[held]


def _shuffled(count: int, seed: list[int]) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(seed)).permutation(count)


def require_same_samples(student: Path, own: Path, where: str) -> None:
    """Refuse two files of a split that are not of the same samples.

    Args:
        student: as the student reads them.
        own: as a teacher reads them, by its own tokenizer.
        where: how to call them in a message.

    Raises:
        InputError: if two splits have another number of samples, or other classes.
    """
    mine, theirs = splits.read(student), splits.read(own)
    counts = [len(next(iter(rows.values()))) for rows in (mine, theirs)]
    labels = [rows.get("labels", np.zeros(0)) for rows in (mine, theirs)]
    if counts[0] != counts[1] or not np.array_equal(np.asarray(labels[0]), np.asarray(labels[1])):
        got = f"{counts[1]} samples by the teacher's tokenizer and {counts[0]} by the student's"
        raise InputError(
            f"{where}: got {got}, want the same: leave out what one of them cannot read"
        )

"""Samples of some classes only, as a task among several sees them; or those alone that have a label."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING
from typing import Any
from typing import cast

import numpy as np

from edgekd.learn.formats.encoded_images import choose_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Rows
    from edgekd.learn.data.loader import Samples


def find_samples(labels: NDArray[np.int64], classes: Iterable[int]) -> NDArray[np.int64]:
    """Indices of the samples of these classes, ascending.

    Args:
        labels: [N].
        classes: their numbers.
    """
    return np.flatnonzero(np.isin(labels, sorted(set(classes))))


def restrict_classes(samples: Samples, classes: Iterable[int]) -> Samples:
    """The samples of these classes; what is large stays where it is and is looked up by batch.

    Labels keep their numbers and `classes` its count, so that a model's outputs do not move. Samples
    are numbered anew: answers stored for all of them are to be cut to `find_samples` of their labels.

    Args:
        samples: of all classes.
        classes: their numbers.

    Raises:
        ValueError: if a class is none of the samples', or no sample is left.
    """
    wanted = sorted(set(classes))
    if wanted and not 0 <= wanted[0] <= wanted[-1] < samples.classes:
        raise ValueError(f"got classes {wanted}, want numbers from 0 to {samples.classes - 1}")
    chosen = find_samples(samples.labels, wanted)
    if not len(chosen):
        raise ValueError(f"got no sample of classes {wanted}, want some")
    return _choose_samples(samples, chosen)


def restrict_labelled(samples: Samples) -> Samples:
    """The samples that have a label, numbered anew as by `restrict_classes`; the same where all have one."""
    labelled = samples.dataset.find_labelled(samples.rows)
    return samples if labelled is None else _choose_samples(samples, np.flatnonzero(labelled))


def _choose_samples(samples: Samples, chosen: NDArray[np.int64]) -> Samples:
    return dataclasses.replace(
        samples, rows={name: _choose(rows, chosen) for name, rows in samples.rows.items()}
    )


def _choose(rows: Rows, chosen: NDArray[np.int64]) -> Rows:
    """Some rows; of arrays they are gathered when they are asked for: a copy might not fit in memory."""
    if isinstance(rows, np.ndarray) and rows.ndim > 1:
        return cast("Rows", _Chosen(rows, chosen))
    return choose_rows(rows, chosen)


class _Chosen:
    def __init__(self, whole: NDArray[Any], chosen: NDArray[np.int64]) -> None:
        self.whole, self.chosen = whole, chosen
        self.shape, self.dtype = (len(chosen), *whole.shape[1:]), whole.dtype

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        return self.whole[self.chosen[rows]]

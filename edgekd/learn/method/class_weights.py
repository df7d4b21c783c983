"""Weights of classes in the losses on labels that take them: rare classes count as much as common ones."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.learn.losses import LOSSES
from edgekd.learn.method.loss import BoundTerm

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Rows
    from edgekd.learn.data.loader import Samples

CLASS_WEIGHTS = "class_weights"
"""Of a loss the keyword that takes them; of a training the setting."""
_CHUNK = 256


def weigh_classes(
    terms: Iterable[BoundTerm], said: str | Mapping[str, float], samples: Samples
) -> tuple[BoundTerm, ...]:
    """The terms, those that take weights of classes with them.

    Args:
        terms: of a training.
        said: ``balanced``, or weights by the names of classes; those that are not named weigh 1.
        samples: the training split.

    Raises:
        InputError: if no target, or more than one, is of classes; or a name is none of theirs.
    """
    terms = tuple(terms)
    if not any(takes_class_weights(term.name) for term in terms):
        return terms
    weights = torch.from_numpy(find_weights(said, samples)).float()
    return tuple(
        dataclasses.replace(term, function=functools.partial(term.function, class_weights=weights))
        if takes_class_weights(term.name)
        else term
        for term in terms
    )


def takes_class_weights(name: str) -> bool:
    """Return whether the loss of a term takes weights of classes; a term's name may end in a number."""
    return CLASS_WEIGHTS in LOSSES[name.partition("#")[0]].supplied


def find_weights(said: str | Mapping[str, float], samples: Samples) -> NDArray[np.float64]:
    """A weight for each class, float64 [C].

    ``balanced`` is N / (K n_c) with N labels of K classes that occur, n_c of them of class c (King and Zeng 2001,
    Political Analysis 9), 1 for a class that does not occur.

    Raises:
        InputError: as `weigh_classes`.
    """
    targets = samples.dataset.targets
    found = [name for name, field in targets.items() if hasattr(field, "names")]
    if len(found) != 1:
        got = f"{len(found)} targets of one class" if found else "no target of one class"
        raise InputError(f"{CLASS_WEIGHTS}: got {got} a sample or place, want one")
    names = targets[found[0]].to_json()["names"]
    if said == "balanced":
        counts = _count_classes(samples.rows[found[0]], len(names))
        occurring = counts > 0
        weights = np.ones(len(names))
        weights[occurring] = counts.sum() / (occurring.sum() * counts[occurring])
        return weights
    assert not isinstance(said, str)
    for name in said:
        if name not in names:
            raise InputError(
                f"{CLASS_WEIGHTS}: got {name!r}, want classes of the data",
                hint=find_nearest(name, names),
            )
    return np.array([said.get(name, 1.0) for name in names])


def _count_classes(rows: Rows, classes: int) -> NDArray[np.int64]:
    """How often each class occurs in rows of class numbers [N, ...]; other numbers stand for no class."""
    counts = np.zeros(classes, np.int64)
    for start in range(0, len(rows), _CHUNK):
        part = np.asarray(rows[np.arange(start, min(start + _CHUNK, len(rows)))]).ravel()
        part = part.astype(np.int64)
        counts += np.bincount(part[(part >= 0) & (part < classes)], minlength=classes)
    return counts

"""How far the classes that a student names are from its teacher's, right or wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import NamedTuple

import numpy as np

from edgekd.bench.explanation.calibration import log_probabilities
from edgekd.bench.proportion import wilson
from edgekd.bench.statistics import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray


class AgreementShare(NamedTuple):
    """A fraction of the samples."""

    value: float
    interval: Interval
    """95 %, Wilson's."""


class Confusion(NamedTuple):
    """The teacher says one class, the student another."""

    teacher: int
    """Class index."""
    student: int
    """Class index."""
    samples: int
    teacher_right: int
    """On how many of them."""
    student_right: int
    """On how many of them."""


def measure_agreement(
    teacher: NDArray[np.floating], student: NDArray[np.floating]
) -> AgreementShare:
    """Return the share of samples on which two models' logits [N, C] name the same class.

    Raises:
        ValueError: if the shapes differ or there are no samples.
    """
    _want_alike(teacher, student)
    value = float((student.argmax(1) == teacher.argmax(1)).mean())
    return AgreementShare(value, wilson(value, len(student)))


def compute_divergences(
    teacher: NDArray[np.floating], student: NDArray[np.floating]
) -> NDArray[np.float64]:
    """KL(teacher || student) of each sample at temperature 1, nats.

    Args:
        teacher: logits [N, C].
        student: logits [N, C].

    Returns:
        [N], never negative; 0 where both are equally sure of everything.

    Raises:
        ValueError: if the shapes differ or a logit is not finite.
    """
    _want_alike(teacher, student)
    log_t, log_s = log_probabilities(teacher), log_probabilities(student)
    found: NDArray[np.float64] = (np.exp(log_t) * (log_t - log_s)).sum(1)
    return np.maximum(found, 0.0)


def farthest_samples(apart: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Indices of the `most` samples with the largest of `apart` [N], the largest first; ties in order."""
    order: NDArray[np.int64] = np.argsort(-apart, kind="stable")[:most].astype(np.int64)
    return order


def find_disagreements(
    teacher: NDArray[np.floating], student: NDArray[np.floating]
) -> NDArray[np.int64]:
    """Indices of all samples on which two answers [N, C] name different classes, the farthest apart first.

    Raises:
        ValueError: if the shapes differ or a logit is not finite.
    """
    order = farthest_samples(compute_divergences(teacher, student), len(teacher))
    differ: NDArray[np.bool_] = teacher.argmax(1) != student.argmax(1)
    return order[differ[order]]


def count_confusions(
    teacher: NDArray[np.floating], student: NDArray[np.floating], labels: NDArray[np.int64]
) -> tuple[Confusion, ...]:
    """Every pair of classes on which they differ, the commonest first, then by class.

    Args:
        teacher: logits [N, C].
        student: logits [N, C].
        labels: [N], class indices.

    Raises:
        ValueError: if the shapes do not fit.
    """
    _want_alike(teacher, student)
    if labels.shape != teacher.shape[:1]:
        raise ValueError(f"want [N, C] and [N], got {teacher.shape} and {labels.shape}")
    said = np.stack([teacher.argmax(1), student.argmax(1)], 1)
    differ = said[:, 0] != said[:, 1]
    pairs, which = np.unique(said[differ], axis=0, return_inverse=True)
    right = said[differ] == labels[differ, None]
    found = [
        Confusion(int(t), int(s), int(here.sum()), *map(int, right[here].sum(0)))
        for number, (t, s) in enumerate(pairs)
        for here in [which.reshape(-1) == number]
    ]
    return tuple(sorted(found, key=lambda one: (-one.samples, one.teacher, one.student)))


def _want_alike(teacher: NDArray[np.floating], student: NDArray[np.floating]) -> None:
    if teacher.shape != student.shape or teacher.ndim != 2 or not teacher.size:
        raise ValueError(f"want two [N, C], got {teacher.shape} and {student.shape}")

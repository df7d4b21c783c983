"""The samples that one model gets right and another does not: overall, class by class, term by term."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd.bench.pair import significance
from edgekd.bench.statistics import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Right = NDArray[np.bool_]
    """[N], whether each sample is answered rightly."""

RESAMPLES = 10_000


class AnswerChange(NamedTuple):
    """The answers of a second model compared with those of a first, on the same samples."""

    corrected: int
    """Samples that only the second gets right."""
    lost: int
    """Samples that only the first gets right."""
    points: float
    """Share of right samples of the second above that of the first, in percentage points."""
    interval: Interval
    """95 %, of the paired bootstrap."""
    p_value: float
    """Two-sided and exact, of no difference (McNemar 1947)."""


class ClassChange(NamedTuple):
    """As `AnswerChange`, in one class."""

    points: float
    corrected: int
    lost: int
    p_value: float
    """Two-sided and exact (McNemar 1947)."""
    p_holm: float
    """The same among all classes (Holm 1979)."""


class ClassGains(NamedTuple):
    """One class."""

    number: int
    samples: int
    accuracy: dict[str, float]
    """Share of the class's samples that each model gets right, by role."""
    above: dict[str, ClassChange]
    """The student beside each of the others, by role."""


def compare_answers(before: Right, after: Right) -> AnswerChange:
    """Count the samples that a second model corrects and loses beside a first.

    Args:
        before: [N], where the first is right.
        after: [N], where the second is.

    Raises:
        ValueError: if the shapes differ or there are no samples.
    """
    _want_alike(before, after)
    lost, corrected = _lost_and_won(before, after)
    found = significance.estimate_drop(
        lost, corrected, len(before), 0.0, resamples=RESAMPLES, seed=0
    )
    return AnswerChange(
        corrected=corrected,
        lost=lost,
        points=100 * (corrected - lost) / len(before),
        interval=Interval(0.0 - found.interval.high, 0.0 - found.interval.low),  # no -0.0
        p_value=found.mcnemar_p,
    )


def change_fields(change: AnswerChange) -> dict[str, Any]:
    """Return a change under the names it has in explain.json."""
    fields = change._asdict()
    fields["points_ci95"] = fields.pop("interval")
    return fields


def compare_by_class(
    labels: NDArray[np.int64], right: Mapping[str, Right], student: str = "student"
) -> tuple[ClassGains, ...]:
    """Every class that has samples, in order.

    Args:
        labels: [N], class indices.
        right: by role, where each model is right [N].
        student: the role that is set beside the others.

    Raises:
        ValueError: if the shapes differ or there are no samples.
    """
    for each in right.values():
        _want_alike(each, labels)
    classes = [int(number) for number in np.unique(labels)]
    of = {number: labels == number for number in classes}
    others = [role for role in right if role != student]
    above = {role: _beside(right[role], right[student], of) for role in others}
    return tuple(
        ClassGains(
            number=number,
            samples=int(of[number].sum()),
            accuracy={role: float(each[of[number]].mean()) for role, each in right.items()},
            above={role: above[role][number] for role in others},
        )
        for number in classes
    )


def compare_ablations(
    full: Right, ablated: Mapping[str, Right]
) -> dict[str, tuple[AnswerChange, float]]:
    """Return how a student does without each term of its loss, beside the one that had them all.

    Args:
        full: [N], where the student of all terms is right.
        ablated: by term left out, where the other is right [N].

    Returns:
        By term: the change from `full`, negative where the term helped; and its p-value among all
        terms (Holm 1979).

    Raises:
        ValueError: if the shapes differ or there are no samples.
    """
    found = {term: compare_answers(full, right) for term, right in ablated.items()}
    corrected = significance.adjust_holm({term: one.p_value for term, one in found.items()})
    return {term: (one, corrected[term]) for term, one in found.items()}


def _beside(before: Right, after: Right, of: Mapping[int, Right]) -> dict[int, ClassChange]:
    counts = {number: _lost_and_won(before[here], after[here]) for number, here in of.items()}
    p_values = {number: significance.mcnemar(*both) for number, both in counts.items()}
    corrected = significance.adjust_holm({str(number): p for number, p in p_values.items()})
    return {
        number: ClassChange(
            points=100 * (won - lost) / int(of[number].sum()),
            corrected=won,
            lost=lost,
            p_value=p_values[number],
            p_holm=corrected[str(number)],
        )
        for number, (lost, won) in counts.items()
    }


def _lost_and_won(before: Right, after: Right) -> tuple[int, int]:
    return int((before & ~after).sum()), int((after & ~before).sum())


def _want_alike(one: NDArray[np.generic], other: NDArray[np.generic]) -> None:
    if one.shape != other.shape or one.ndim != 1 or not len(one):
        raise ValueError(f"want two [N], got {one.shape} and {other.shape}")

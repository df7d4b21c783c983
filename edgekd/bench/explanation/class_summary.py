"""What explain.json says of the classes that the compared models name.

It needs an output of class logits [N, C] whose target is one class a sample; the task may be more than that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from edgekd.bench import proportion
from edgekd.bench.explanation import calibration
from edgekd.bench.explanation import fidelity
from edgekd.bench.explanation import gains
from edgekd.bench.roles import CONTROL
from edgekd.bench.roles import STUDENT
from edgekd.bench.roles import TEACHER
from edgekd.bench.roles import find_reference

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_APART = 100
"""Samples named in it."""
MOST_IN_MATRIX = 25
"""Classes of which every pair is counted."""
MOST_CONFUSIONS = 100
"""Pairs of classes named in it."""


def summarize_model(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, Any]:
    """Return how often a model's class is right, and how well its confidence fits that.

    Args:
        logits: [N, C].
        labels: [N], class indices.

    Raises:
        ValueError: if the shapes do not fit.
    """
    bins = calibration.equal_width(logits, labels)
    best = calibration.best_temperature(logits, labels)
    accuracy = float((logits.argmax(1) == labels).mean())
    return {
        "accuracy": accuracy,
        "accuracy_ci95": proportion.wilson(accuracy, len(labels)),
        "likelihood_nats": calibration.negative_log_likelihood(logits, labels),
        "brier": calibration.brier(logits, labels),
        "calibration_error": calibration.calibration_error(bins),
        "adaptive_calibration_error": calibration.calibration_error(
            calibration.equal_mass(logits, labels)
        ),
        "temperature": best,
        "likelihood_nats_at_temperature": calibration.negative_log_likelihood(logits, labels, best),
        "reliability": [bin_of._asdict() for bin_of in bins],
    }


def summarize_differences(
    logits: Mapping[str, NDArray[np.float32]], labels: NDArray[np.int64]
) -> dict[str, Any]:
    """Return how the student's classes differ from those of its teacher, or else of what the run began with, and of its
    control, if there is one.

    Args:
        logits: [N, C], by role; the student and at least one more.
        labels: [N], class indices.

    Raises:
        ValueError: if the shapes do not fit.
    """
    role_of = find_reference(logits)
    reference, student = logits[role_of], logits[STUDENT]
    right = {role: each.argmax(1) == labels for role, each in logits.items()}
    others = [role for role in logits if role != role_of]
    same = {role: logits[role].argmax(1) == reference.argmax(1) for role in others}
    above = {}
    if CONTROL in same:
        change = gains.compare_answers(same[CONTROL], same[STUDENT])
        above["above_control"] = gains.change_fields(change)
    return {
        "fidelity": {**{role: _fidelity(reference, logits[role]) for role in same}, **above},
        "by_class": [
            {**row._asdict(), "above": {role: b._asdict() for role, b in row.above.items()}}
            for row in gains.compare_by_class(labels, right)
        ],
        "confusions": [
            {name.replace(TEACHER, role_of): count for name, count in pair._asdict().items()}
            for pair in fidelity.count_confusions(reference, student, labels)[:MOST_CONFUSIONS]
        ],
    }


def count_pairs(labels: NDArray[np.int64], logits: NDArray[np.float32]) -> list[list[int]] | None:
    """Return how many samples of each class (rows) a model gives to each class; None of more than `MOST_IN_MATRIX`.

    Args:
        labels: [N], class indices.
        logits: [N, C].
    """
    import numpy as np

    classes = logits.shape[1]
    if classes > MOST_IN_MATRIX:
        return None
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, logits.argmax(1)), 1)
    found: list[list[int]] = counts.tolist()
    return found


def find_farthest(
    teacher: NDArray[np.float32], student: NDArray[np.float32]
) -> list[dict[str, Any]]:
    """Return the `MOST_APART` samples on which the probabilities [N, C] of two models are the farthest apart."""
    apart = fidelity.compute_divergences(teacher, student)
    return [
        {"index": int(row), "kl_nats": float(apart[row])}
        for row in fidelity.farthest_samples(apart, MOST_APART)
    ]


def _fidelity(teacher: NDArray[np.float32], other: NDArray[np.float32]) -> dict[str, Any]:
    share = fidelity.measure_agreement(teacher, other)
    return {
        "agreement": share.value,
        "agreement_ci95": share.interval,
        "kl_nats": float(fidelity.compute_divergences(teacher, other).mean()),
    }

"""What explain.json says of the answers of teacher, control and student."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from edgekd.bench import proportion
from edgekd.bench.explanation import calibration
from edgekd.bench.explanation import fidelity
from edgekd.bench.explanation import gains
from edgekd.tasks import classification

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TEACHER, CONTROL, STUDENT = ROLES = ("teacher", "control", "student")
MOST_APART = 100
"""Samples named in it."""
MOST_CONFUSIONS = 100
"""Pairs of classes named in it."""


def summarize_model(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, Any]:
    """How good one model is, and how sure.

    Args:
        logits: [N, C].
        labels: [N], class indices.
    """
    accuracy = classification.top1_accuracy(logits, labels)
    bins = calibration.equal_width(logits, labels)
    best = calibration.best_temperature(logits, labels)
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
        "reliability": [one._asdict() for one in bins],
    }


def summarize_differences(
    answers: Mapping[str, NDArray[np.float32]], labels: NDArray[np.int64]
) -> dict[str, Any]:
    """The student beside its teacher and its control, sample by sample.

    Args:
        answers: logits [N, C] by role.
        labels: [N], class indices.
    """
    teacher, student = answers[TEACHER], answers[STUDENT]
    right = {role: answers[role].argmax(1) == labels for role in ROLES}
    same = {role: answers[role].argmax(1) == teacher.argmax(1) for role in (CONTROL, STUDENT)}
    apart = fidelity.divergences(teacher, student)
    return {
        "fidelity": {
            **{role: _fidelity(teacher, answers[role]) for role in same},
            "above_control": change_fields(gains.compare_answers(same[CONTROL], same[STUDENT])),
        },
        "above": {
            role: change_fields(gains.compare_answers(right[role], right[STUDENT]))
            for role in (CONTROL, TEACHER)
        },
        "by_class": [
            {**one._asdict(), "above": {role: b._asdict() for role, b in one.above.items()}}
            for one in gains.compare_by_class(labels, right)
        ],
        "confusions": [
            one._asdict() for one in fidelity.confusions(teacher, student, labels)[:MOST_CONFUSIONS]
        ],
        "most_apart": [
            {"index": int(row), "kl_nats": float(apart[row])}
            for row in fidelity.farthest_samples(apart, MOST_APART)
        ],
    }


def summarize_terms(
    whole: NDArray[np.bool_], without: Mapping[str, NDArray[np.bool_]]
) -> list[dict[str, Any]]:
    """What each term of a loss brought, a row each.

    Args:
        whole: [N], where the student of all terms is right.
        without: by term, where the student that did without it is right [N].
    """
    return [
        {
            "term": term,
            "accuracy": float(without[term].mean()),
            "accuracy_of_all": float(whole.mean()),
            **change_fields(change),
            "p_holm": p_holm,
        }
        for term, (change, p_holm) in gains.compare_ablations(whole, without).items()
    ]


def change_fields(change: gains.AnswerChange) -> dict[str, Any]:
    """A change by the names it has in the file."""
    fields = change._asdict()
    fields["points_ci95"] = fields.pop("interval")
    return fields


def _fidelity(teacher: NDArray[np.float32], other: NDArray[np.float32]) -> dict[str, Any]:
    share = fidelity.agreement(teacher, other)
    return {
        "agreement": share.value,
        "agreement_ci95": share.interval,
        "kl_nats": float(fidelity.divergences(teacher, other).mean()),
    }

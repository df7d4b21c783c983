"""What explain.json says of teacher, control and student by the task's metrics, whatever the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from edgekd.task import drop_interval
from edgekd.task import metric_rows
from edgekd.task import metric_values
from edgekd.task import score_drop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.dataset import Dataset
    from edgekd.field import Arrays
    from edgekd.task import Metric
    from edgekd.task import Task

TEACHER, CONTROL, STUDENT = ROLES = ("teacher", "control", "student")
Rows = Mapping[str, "NDArray[np.float64]"]
"""A metric's rows [N, K], by who answered."""


def summarize_scores(
    task: Task, dataset: Dataset, targets: Arrays, outputs: Mapping[str, Arrays]
) -> dict[str, Any]:
    """Each model's metrics, how far control and student decide as the teacher does, and how much worse the student
    scores than the others.

    Args:
        task: what is judged.
        dataset: what its fields are.
        targets: of the samples, by name.
        outputs: by role, by name.
    """
    score = task.score
    rows = {
        role: metric_rows(task.metrics, given, targets, dataset) for role, given in outputs.items()
    }
    of_score = {role: each[score.name] for role, each in rows.items()}
    alike = {
        role: float(agree_samples(task, dataset, outputs[TEACHER], outputs[role]).mean())
        for role in (CONTROL, STUDENT)
    }
    return {
        "metric": score.scale._asdict(),
        "models": {role: {"metrics": metric_values(task, each)} for role, each in rows.items()},
        "agreement": alike,
        "below": {
            role: summarize_drop(score, of_score[STUDENT], of_score[role])
            for role in (CONTROL, TEACHER)
        },
    }


def agree_samples(task: Task, dataset: Dataset, one: Arrays, other: Arrays) -> NDArray[np.float64]:
    """[N]: how far two models decide the same, 0 to 1."""
    return np.asarray(task.agree(task.decide(one, dataset), task.decide(other, dataset)))


def find_disagreements(alike: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of all samples on which `alike` [N] is below 1, the farthest apart first; ties in order."""
    order = np.argsort(alike, kind="stable").astype(np.int64)
    found: NDArray[np.int64] = order[alike[order] < 1]
    return found


def summarize_terms(
    metric: Metric, whole: NDArray[np.float64], without: Rows
) -> list[dict[str, Any]]:
    """What each term of a loss brought, a row each: above 0 the student is worse without it.

    Args:
        metric: the score.
        whole: its rows of the student of all terms.
        without: by term, those of the student that did without it.
    """
    return [
        {
            "term": term,
            "score": metric.value(rows),
            "score_of_all": metric.value(whole),
            **summarize_drop(metric, rows, whole),
        }
        for term, rows in without.items()
    ]


def summarize_drop(
    metric: Metric, rows: NDArray[np.float64], reference: NDArray[np.float64]
) -> dict[str, Any]:
    """How much worse one model scores than another on the same samples, with the 95 % interval."""
    drop = score_drop(metric, metric.value(rows), metric.value(reference))
    return {"score_drop": drop, "score_drop_ci95": drop_interval(metric, rows, reference)}

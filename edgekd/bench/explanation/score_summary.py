"""What explain.json says of the compared models by the task's metrics, whatever the task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from edgekd.bench.explanation import gains
from edgekd.bench.roles import STUDENT
from edgekd.sampling_error import drop_interval
from edgekd.sampling_error import is_right_or_wrong
from edgekd.task import list_fitting
from edgekd.task import metric_values
from edgekd.task import score_drop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.dataset import Dataset
    from edgekd.task import Metric
    from edgekd.task import Task

MOST_APART = 100
"""Samples named in it."""
Rows = Mapping[str, "NDArray[np.float64]"]
"""A metric's rows [N, K], by who answered or by its name."""


def summarize_scores(
    task: Task, dataset: Dataset, rows: Mapping[str, Rows], alike: Rows
) -> dict[str, Any]:
    """Return each model's metrics, how far control and student decide as the teacher does, or else what the run began
    with, and how much worse the student scores than the others; where samples are right or wrong, how many it corrects
    and loses.

    Args:
        task: what is judged.
        dataset: what its fields are.
        rows: by role, of each metric by its name.
        alike: how far each but the reference decides as that does, [N], 0 to 1.
    """
    score = task.score
    of_score = {role: each[score.name] for role, each in rows.items()}
    others = [role for role in rows if role != STUDENT]
    summary = {
        "metric": score.scale._asdict(),
        "metrics": [each.scale._asdict() for each in list_fitting(task.metrics, dataset)],
        "models": {role: {"metrics": metric_values(task, each)} for role, each in rows.items()},
        "agreement": {role: float(each.mean()) for role, each in alike.items()},
        "below": {
            role: summarize_drop(score, of_score[STUDENT], of_score[role]) for role in others
        },
        "most_apart": [
            {"index": int(row), "agreement": float(each[row])}
            for each in [alike[role] for role in (STUDENT,) if role in alike]
            for row in find_disagreements(each)[:MOST_APART]
        ],
    }
    right = right_samples(score, of_score)
    if right is not None:
        summary["above"] = {
            role: gains.change_fields(gains.compare_answers(right[role], right[STUDENT]))
            for role in others
        }
    return summary


def find_disagreements(alike: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices of all samples on which `alike` [N] is below 1, the farthest apart first; ties in order."""
    order = np.argsort(alike, kind="stable").astype(np.int64)
    found: NDArray[np.int64] = order[alike[order] < 1]
    return found


def right_samples(metric: Metric, rows: Rows) -> dict[str, NDArray[np.bool_]] | None:
    """Return where each model is right, [N] by its name; None if the metric is not the share of right samples."""
    if not all(is_right_or_wrong(metric, each) for each in rows.values()):
        return None
    return {name: each[:, 0] > 0 for name, each in rows.items()}


def summarize_terms(
    metric: Metric, whole: NDArray[np.float64], without: Rows
) -> list[dict[str, Any]]:
    """Return what each term of a loss brought, a row each: above 0 the student scores worse without it.

    Args:
        metric: the score.
        whole: its rows of the student of all terms.
        without: by term, those of the student that did without it.

    Returns:
        `summarize_drop` of each, its score and that of all terms; where samples are right or wrong also the
        change from all terms, with its p-value among all terms (Holm 1979).
    """
    right = right_samples(metric, {"": whole, **without})
    changes = {}
    if right is not None:
        full = right.pop("")
        changes = {
            term: {**gains.change_fields(change), "p_holm": p_holm}
            for term, (change, p_holm) in gains.compare_ablations(full, right).items()
        }
    return [
        {
            "term": term,
            "score": metric.value(rows),
            "score_of_all": metric.value(whole),
            **summarize_drop(metric, rows, whole),
            **changes.get(term, {}),
        }
        for term, rows in without.items()
    ]


def summarize_drop(
    metric: Metric, rows: NDArray[np.float64], reference: NDArray[np.float64]
) -> dict[str, Any]:
    """Return how much worse one model scores than another on the same samples, with the 95 % interval."""
    drop = score_drop(metric, metric.value(rows), metric.value(reference))
    return {"score_drop": drop, "score_drop_ci95": drop_interval(metric, rows, reference)}

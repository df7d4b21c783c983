"""A made-up explain.json, for the tests of reports: three classifiers that differ as real ones do."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from edgekd import files
from edgekd.bench.explanation import class_summary
from edgekd.bench.explanation import score_summary
from edgekd.dataset import Dataset
from edgekd.fields import find_field
from edgekd.task import Task
from edgekd.task import agree_samples
from edgekd.task import metric_rows
from edgekd.tasks.classification import TASK

CLASSES = ("t-shirt", "trouser", "pull|over", "<coat>", "$bag$", "靴")

ROWS, COLUMNS = ("conv1", "layer1", "fc"), ("conv1", "head")


def answers(samples: int = 600) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Logits by role, and labels: the student stands between its teacher and its control."""
    generator = np.random.default_rng(0)
    count = len(CLASSES)
    labels = generator.integers(0, count, samples)
    truth = np.eye(count)[labels]
    noise = generator.normal(size=(3, samples, count))
    teacher = 3.0 * truth + noise[0]
    control = 2.0 * truth + noise[1]
    student = 0.6 * teacher + 0.4 * control + 0.2 * noise[2]
    told = {"teacher": teacher, "control": control, "student": student}
    return {role: logits.astype(np.float32) for role, logits in told.items()}, labels


def summarize_scores(
    task: Task, data: Dataset, logits: dict[str, np.ndarray], labels: np.ndarray
) -> dict[str, Any]:
    """The summary of answers by role."""
    outputs = {role: {"logits": given} for role, given in logits.items()}
    return score_summary.summarize_scores(
        task,
        data,
        {r: metric_rows(task.metrics, e, {"labels": labels}, data) for r, e in outputs.items()},
        {
            role: agree_samples(task, outputs["teacher"], each, data)
            for role, each in outputs.items()
            if role != "teacher"
        },
    )


def content(**other: Any) -> dict[str, Any]:
    """explain.json as it is read; `other` replaces parts."""
    logits, labels = answers()
    label = find_field("class").describe(labels, np.arange(len(labels)), names=CLASSES)
    data = Dataset(task="classification", inputs={}, targets={"labels": label})
    scored = summarize_scores(TASK, data, logits, labels)
    rows = {
        role: metric_rows((TASK.score,), {"logits": given}, {"labels": labels}, data)[
            TASK.score.name
        ]
        for role, given in logits.items()
    }
    cka = [[0.9, 0.5], [0.4, 0.8], [None, 0.1]]
    of_classes = {role: class_summary.summarize_model(logits[role], labels) for role in logits}
    explained = {
        "split": "validation",
        "samples": len(labels),
        "classes": CLASSES,
        **scored,
        **class_summary.summarize_differences(logits, labels),
        "models": {role: scored["models"][role] | of_classes[role] for role in logits},
        "confusion_matrix": class_summary.count_pairs(labels, logits["student"]),
        "most_apart": class_summary.find_farthest(logits["teacher"], logits["student"]),
        "similarity": [
            {"one": "teacher", "other": role, "rows": ROWS, "columns": COLUMNS, "cka": cka}
            for role in ("student", "control")
        ],
        "ablation": score_summary.summarize_terms(
            TASK.score, rows["student"], {"kd": rows["control"]}
        ),
        "left_out": [],
    }
    read: dict[str, Any] = json.loads(files.canonical_json({**explained, **other}))
    return read

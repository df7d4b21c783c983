"""A made-up explain.json, for the tests of reports: three classifiers that differ as real ones do."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from edgekd import files
from edgekd.bench.explanation import summary

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


def content(**other: Any) -> dict[str, Any]:
    """explain.json as it is read; `other` replaces parts."""
    told, labels = answers()
    right = {role: logits.argmax(1) == labels for role, logits in told.items()}
    cka = [[0.9, 0.5], [0.4, 0.8], [None, 0.1]]
    found = {
        "split": "validation",
        "samples": len(labels),
        "classes": CLASSES,
        "models": {role: summary.summarize_model(logits, labels) for role, logits in told.items()},
        **summary.summarize_differences(told, labels),
        "similarity": [
            {"one": "teacher", "other": role, "rows": ROWS, "columns": COLUMNS, "cka": cka}
            for role in ("student", "control")
        ],
        "ablation": summary.summarize_terms(right["student"], {"kd": right["control"]}),
    }
    read: dict[str, Any] = json.loads(files.canonical_json({**found, **other}))
    return read

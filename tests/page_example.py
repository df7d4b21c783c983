"""A made-up run as a page shows it, for the tests of pages."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from edgekd.bench.explanation.png import encode_png
from edgekd.report.html.latencies import LatencySpread
from edgekd.report.html.record import RunRecord
from tests import explanation_example
from tests import report_example

PIXEL = base64.b64encode(encode_png(np.zeros((2, 2, 1), np.uint8))).decode()
"""A black picture."""
SCORES = {
    "teacher": {"score": 0.934, "parameters": 272_000},
    "control": {"score": 0.9245, "parameters": 78_000},
    "distil": {"score": 0.9271, "parameters": 78_000},
}


def record(name: str) -> RunRecord:
    """The run; everything that a user names is called `name`."""
    rows = report_example.rows()
    rows[2] |= {"status": "failed", "reason": name, "latency_p50_ms": None}
    files = report_example.files()
    data = {**files["data"], "source": name}
    data["targets"] = {"labels": {"kind": "class", "names": [name, "other"]}}
    models = dict.fromkeys(files["models"], name)
    choice = {**files["choice"], "why": name}
    made = report_example.result(
        recipe=name,
        rows=rows,
        data=data,
        models=models,
        choice=choice,
        overrides=[name],
        resolved_recipe={name: name},
        environment={name: name, "versions": {name: name}},
        lineage={name: {"key": report_example.DIGEST, "files": {name: report_example.DIGEST}}},
    )
    return RunRecord(
        made,
        scores={**SCORES, name: SCORES["distil"]},
        histories={name: report_example.history(3, 1.0, name, "kd")},
        tables={"sensitivity-asymmetric.json": _sensitivity(name)},
        explained=explanation_example.content(
            classes=[name, *explanation_example.CLASSES[1:]], left_out=[name]
        ),
        samples=[
            {
                "index": 7,
                "known": [{"name": name, "text": name}, {"name": name, "png": PIXEL}],
                "says": [{"name": "student", "text": name}],
            }
        ],
        spreads={row["name"]: LatencySpread((0.1, 0.2, 0.3, 0.4, 0.9), (0.2, 0.3)) for row in rows},
    )


def _sensitivity(name: str) -> dict[str, Any]:
    layers = [{**layer, "layer": name} for layer in report_example.SENSITIVITY["layers"]]
    return {**report_example.SENSITIVITY, "layers": layers}

"""A made-up run as a page shows it, for the tests of pages."""

from __future__ import annotations

from edgekd.report.html.record import RunRecord
from tests import report_example

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
    scores = {**SCORES, name: SCORES["distil"]}
    return RunRecord(made, scores=scores)

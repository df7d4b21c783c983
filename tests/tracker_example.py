"""A made-up run as trackers hear of it."""

from __future__ import annotations

import json
from pathlib import Path

from edgekd.progress import EpochEnd
from edgekd.progress import Event
from edgekd.progress import RunEnd
from edgekd.progress import RunStart
from edgekd.progress import StepEnd
from edgekd.progress import StepStart
from tests import report_example

RECIPE = {"name": "digits", "seed": 0, "learn": [{"losses": [{"name": "kd", "weight": 0.9}]}]}
HISTORY = [
    {"kd": 2.0, "learning_rate": 0.1, "score": 0.5},
    {"kd": 1.0, "learning_rate": 0.05, "score": 0.75},
]
SCORE = {"score": 0.75, "metrics": {"accuracy": 0.75}, "parameters": 78_000, "near_chance": ""}


def events(folder: Path) -> list[Event]:
    """All of them, in order; `folder` gets a run folder and the files of a step."""
    run_dir, store = folder / "run", folder / "store"
    (run_dir / "bundle").mkdir(parents=True)
    store.mkdir()
    (run_dir / "report.html").write_text("<!DOCTYPE html>")
    (run_dir / "bundle/model.onnx").write_bytes(b"onnx")
    for name, value in (("history.json", HISTORY), ("score.json", SCORE)):
        (store / name).write_text(json.dumps(value))
    files = {name: store / name for name in ("history.json", "score.json")}
    result = report_example.result().model_dump(mode="json")
    epochs = [EpochEnd("distil", number, 2, row) for number, row in enumerate(HISTORY, 1)]
    return [
        RunStart(run_dir, RECIPE, ("distil",)),
        StepStart("distil", "distil"),
        *epochs,
        StepEnd("distil", "distil", False, 3.0, files),
        RunEnd(run_dir, result),
    ]

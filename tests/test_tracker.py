from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgekd.progress import EpochEnd
from edgekd.progress import RunEnd
from edgekd.progress import RunStart
from edgekd.progress import StepEnd
from edgekd.tracker import RunTracker
from edgekd.tracker import flatten_settings
from tests.tracker_example import events


class Recorder:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.params: dict[str, str] = {}
        self.curves: dict[str, list[tuple[int, float]]] = {}
        self.artifacts: list[str] = []
        self.failed: bool | None = None

    def log_params(self, params: Mapping[str, str]) -> None:
        self.params |= params

    def log_values(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self.curves.setdefault(name, []).append((step, value))

    def log_artifact(self, path: Path) -> None:
        self.artifacts.append(path.name)

    def close(self, *, failed: bool) -> None:
        self.failed = failed


def test_a_run_becomes_settings_curves_figures_and_files(tmp_path: Path) -> None:
    recorder, warnings = Recorder(), []
    tracker = RunTracker("x", lambda start: recorder, warnings.append)
    for event in events(tmp_path):
        tracker(event)
    assert warnings == [] and recorder.failed is False
    assert recorder.params["learn.0.losses.0.weight"] == "0.9"
    assert recorder.params["result.chosen"] == "onnxruntime-fp32-2t"
    assert recorder.curves["distil/kd"] == [(1, 2.0), (2, 1.0)]
    assert recorder.curves["distil/score"] == [(1, 0.5), (2, 0.75)]
    assert recorder.curves["distil/learning_rate"] == [(1, 0.1), (2, 0.05)]
    assert recorder.curves["distil/final/accuracy"] == [(0, 0.75)]
    assert recorder.curves["distil/took_s"] == [(0, 3.0)]
    assert recorder.curves["chosen/latency_p50_ms"] == [(0, 0.098)]
    assert recorder.curves["rows/teacher-openvino-fp32-1t/size_bytes"] == [(0, 1_272_000.0)]
    assert recorder.artifacts == ["report.html", "bundle"]


def test_epochs_that_the_store_held_are_read_from_the_history(tmp_path: Path) -> None:
    recorder = Recorder()
    tracker = RunTracker("x", lambda start: recorder, pytest.fail)
    for event in events(tmp_path):
        if not isinstance(event, EpochEnd):
            tracker(event)
    assert recorder.curves["distil/kd"] == [(1, 2.0), (2, 1.0)]


def test_a_number_that_is_none_is_left_out(tmp_path: Path) -> None:
    recorder = Recorder()
    tracker = RunTracker("x", lambda start: recorder, pytest.fail)
    tracker(RunStart(tmp_path, {}, ()))
    tracker(EpochEnd("teacher", 1, 1, {"loss": float("nan"), "score": 0.5}))
    assert recorder.curves == {"teacher/score": [(1, 0.5)]}


@pytest.mark.parametrize("broken", ["open", "log_params", "log_values", "log_artifact", "close"])
def test_a_tracker_that_fails_warns_once_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*args: Any, **named: Any) -> Any:
        raise RuntimeError("no\x1b disk")

    monkeypatch.setattr(Recorder, broken, fail, raising=False)
    warnings: list[str] = []
    opened = fail if broken == "open" else lambda start: Recorder()
    tracker = RunTracker("mlflow", opened, warnings.append)
    for event in events(tmp_path):
        tracker(event)
    assert warnings == [
        "warning: mlflow: no\\x1b disk; it gets nothing more of this run, which goes on"
    ]


def test_ctrl_c_is_not_swallowed(tmp_path: Path) -> None:
    def interrupt(start: RunStart) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        RunTracker("x", interrupt, pytest.fail)(RunStart(tmp_path, {}, ()))


def test_a_run_that_failed_is_closed_as_failed(tmp_path: Path) -> None:
    recorder = Recorder()
    tracker = RunTracker("x", lambda start: recorder, pytest.fail)
    tracker(RunStart(tmp_path, {"seed": 0, "name": None}, ()))
    tracker(RunEnd(tmp_path, None, ValueError("x")))
    assert recorder.failed is True and recorder.params == {"seed": "0"}


def test_settings_have_dotted_names() -> None:
    value = {"a": [{"b": 1}, {"b": None}], "c": {"d": "x", "e": {}}, "f": True}
    assert dict(flatten_settings(value)) == {"a.0.b": "1", "c.d": "x", "f": "True"}


def test_what_a_step_left_is_read_where_it_says(tmp_path: Path) -> None:
    recorder = Recorder()
    tracker = RunTracker("x", lambda start: recorder, pytest.fail)
    tracker(RunStart(tmp_path, {}, ()))
    (tmp_path / "s").write_text(json.dumps({"score": 0.5, "near_chance": "", "parameters": 10}))
    tracker(StepEnd("teacher", "train", True, 0.0, {"score.json": tmp_path / "s"}))
    assert recorder.curves == {
        "teacher/took_s": [(0, 0.0)],
        "teacher/final/score": [(0, 0.5)],
        "teacher/final/parameters": [(0, 10.0)],
    }

"""Read back by MLflow's own client."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekd.trackers import open_trackers
from tests.tracker_example import events

pytest.importorskip("mlflow")


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("where", ["", "kept"])
def test_a_run_is_read_back_from_its_file_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    from mlflow.tracking import MlflowClient

    (tracker,) = open_trackers([f"mlflow:{where}" if where else "mlflow"], pytest.fail)
    for event in events(tmp_path):
        tracker(event)
    folder = tmp_path / (where or "run/mlruns")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", folder.as_uri())  # where 3.1 lists artifacts
    client = MlflowClient(tracking_uri=folder.as_uri())
    experiment = client.get_experiment_by_name("edgekd")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.info.run_name) == ("FINISHED", "digits")
    assert run.data.params["learn.0.losses.0.name"] == "kd"
    assert run.data.params["result.chosen"] == "onnxruntime-fp32-2t"
    curve = client.get_metric_history(run.info.run_id, "distil/kd")
    assert [(point.step, point.value) for point in curve] == [(1, 2.0), (2, 1.0)]
    assert run.data.metrics["rows/onnxruntime-fp32-2t/latency_p50_ms"] == 0.098
    assert run.data.metrics["distil/final/score"] == 0.75
    listed = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert listed == {"report.html", "bundle"}
    inside = client.list_artifacts(run.info.run_id, "bundle")
    assert [item.path for item in inside] == ["bundle/model.onnx"]

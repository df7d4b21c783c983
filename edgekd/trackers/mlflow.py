"""MLflow: a run of it for every run, in a tracking server or a folder."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekd.progress import RunStart

FOLDER, EXPERIMENT = "mlruns", "edgekd"
NOT_IN_NAMES = re.compile(r"[^\w. :/-]")
LONGEST_NAME, LONGEST_VALUE, MOST_AT_ONCE = 250, 6000, 100
"""Limits of MLflow."""


class MlflowWriter:
    """One run of MLflow."""

    def __init__(self, uri: str, name: str) -> None:
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # nothing goes where nobody sent it
        if uri.startswith("file:"):
            os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        from mlflow.tracking import MlflowClient

        self._client = MlflowClient(tracking_uri=uri)
        experiment = self._client.get_experiment_by_name(EXPERIMENT)
        found = (
            experiment.experiment_id if experiment else self._client.create_experiment(EXPERIMENT)
        )
        self._id: str = self._client.create_run(found, run_name=name).info.run_id

    def log_params(self, params: Mapping[str, str]) -> None:
        """As parameters."""
        from mlflow.entities import Param

        listed = [Param(_name(key), value[:LONGEST_VALUE]) for key, value in params.items()]
        for start in range(0, len(listed), MOST_AT_ONCE):
            self._client.log_batch(self._id, params=listed[start : start + MOST_AT_ONCE])

    def log_values(self, values: Mapping[str, float], step: int) -> None:
        """As metrics."""
        from mlflow.entities import Metric

        now = int(1000 * time.time())
        listed = [Metric(_name(name), value, now, step) for name, value in values.items()]
        for start in range(0, len(listed), MOST_AT_ONCE):
            self._client.log_batch(self._id, metrics=listed[start : start + MOST_AT_ONCE])

    def log_artifact(self, path: Path) -> None:
        """As an artifact of its name."""
        if path.is_dir():
            self._client.log_artifacts(self._id, str(path), artifact_path=path.name)
        else:
            self._client.log_artifact(self._id, str(path))

    def close(self, *, failed: bool) -> None:
        """The run is finished or failed."""
        self._client.set_terminated(self._id, "FAILED" if failed else "FINISHED")


def open_run(where: str, start: RunStart) -> MlflowWriter:
    """A new run in the experiment `EXPERIMENT`.

    Args:
        where: URI of a server, or a folder; empty for `FOLDER` in the run folder.
        start: of the run.
    """
    folder = Path(where) if where else start.run_dir / FOLDER
    uri = where if "://" in where else folder.resolve().as_uri()
    return MlflowWriter(uri, str(start.recipe.get("name", "edgekd")))


def _name(name: str) -> str:
    return NOT_IN_NAMES.sub("_", name)[:LONGEST_NAME]

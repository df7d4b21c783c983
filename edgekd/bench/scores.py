"""How an engine does on a split, judged where it runs: each metric's rows."""

from __future__ import annotations

import dataclasses
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd import dataset
from edgekd import splits
from edgekd.bench.engine import Engine
from edgekd.bench.outputs import batch_rows
from edgekd.bench.outputs import compute_outputs
from edgekd.bench.outputs import count_values
from edgekd.bench.outputs import divide_rows
from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.bench.score_job import name_outputs
from edgekd.bench.score_job import plan_batches
from edgekd.dataset import Dataset
from edgekd.device import OUT
from edgekd.device import Device
from edgekd.device import input_path
from edgekd.devices import local
from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.field import form_text
from edgekd.task import Task
from edgekd.task import count_output_values
from edgekd.task import interface_of
from edgekd.task import list_fitting
from edgekd.task import metric_rows
from edgekd.tasks import BUILT_IN

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.field import Rows

SPLIT, ROWS = "samples.split", "rows.split"
MOST_COLUMNS = 2**20
"""Of a metric's rows."""


def score_engine(
    engine: Engine,
    split: Path,
    data: Dataset,
    task: Task,
    *,
    batch_size: int | None = None,
    timeout_s: float = 600,
    row_s: float | None = None,
    device: Device = local.DEVICE,
) -> dict[str, NDArray[np.float64]]:
    """The rows [N, K] of each of the task's metrics, by its name.

    A worker judges on the device and sends rows home; of a task that is not edgekd's own it sends outputs, which
    are judged here.

    Args:
        engine: what to ask.
        split: stored rows of the data's fields.
        data: what the rows are, and the name of the task.
        task: the same, loaded.
        batch_size: rows at a time, where the model leaves it free; None for what their size allows.
        timeout_s: after this the worker of the first piece is killed; the others by what it took.
        row_s: what a row took elsewhere; None where that is not known.
        device: where.

    Raises:
        InputError: if the rows do not fit the model, or its outputs not the task.
        WorkerFailed: if the engine crashes, hangs or is not installed, or gives no such rows.
    """
    import numpy as np

    rows = splits.read(split)
    total = len(next(iter(rows.values())))
    if missing := [name for name in data.fields if name not in rows]:
        raise InputError(f"{split}: got {', '.join(rows)}, want {missing[0]}")
    if not total:
        raise InputError(f"{split}: got no samples, want some")
    batch = batch_size or batch_rows(
        sum(count_values(rows[name]) for name in data.inputs), count_output_values(task, data, rows)
    )
    if data.task not in BUILT_IN:
        ask = functools.partial(
            compute_outputs,
            engine,
            fields=data.inputs,
            batch_size=batch,
            timeout_s=timeout_s,
            row_s=row_s,
            device=device,
        )
        return _score_here(ask, engine.runtime, split, data, task)
    spec = {
        **engine.spec(),
        "split": input_path(SPLIT),
        "goal": f"{OUT}/{ROWS}",
        "data": dataset.to_json(dataclasses.replace(data, notes=(), skipped=())),
        "batch": batch,
    }
    parts = []
    for start, stop, limit_s in divide_rows(total, batch, timeout_s, row_s=row_s, device=device):
        with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
            goal = Path(folder)
            run_worker(
                "score",
                {**spec, "rows": [start, stop]},
                timeout_s=limit_s,
                reads={**engine.files, SPLIT: split},
                goal=goal,
                device=device,
            )
            names = [metric.name for metric in list_fitting(task.metrics, data)]
            parts.append(read_rows(goal / ROWS, engine.runtime, names, rows=stop - start))
    if len({tuple(each.shape[1] for each in part.values()) for part in parts}) != 1:
        raise WorkerFailed(f"{engine.runtime}: got rows of several widths, want one")
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def read_rows(
    path: Path, runtime: str, names: list[str], *, rows: int
) -> dict[str, NDArray[np.float64]]:
    """Return what a worker left as the metrics' rows of so many samples: by name, finite float64 [rows, K].

    Raises:
        WorkerFailed: if they are no such arrays.
    """

    try:
        found = splits.read(path)
    except InputError as error:
        raise WorkerFailed(f"{runtime}: got no readable rows: {error}") from error
    if set(found) != set(names):
        raise WorkerFailed(f"{runtime}: got rows of {', '.join(found)}, want {', '.join(names)}")
    return {name: _require_rows(found[name], f"{runtime}: got rows {name}", rows) for name in names}


def _require_rows(found: Rows, where: str, rows: int) -> NDArray[np.float64]:
    import numpy as np

    if (
        isinstance(found, RaggedRows)
        or found.dtype != np.float64
        or (found.ndim, len(found)) != (2, rows)
        or not 0 < found.shape[1] <= MOST_COLUMNS
    ):
        raise WorkerFailed(f"{where} {form_text(found)}, want float64 [{rows}, K]")
    if not np.isfinite(found).all():
        raise WorkerFailed(f"{where} that are not finite")
    return np.array(found)


def _score_here(
    ask: Callable[[Path], dict[str, NDArray[Any]]],
    runtime: str,
    split: Path,
    data: Dataset,
    task: Task,
) -> dict[str, NDArray[np.float64]]:
    """The same for a task that no board has; rows of each length are asked for by themselves."""
    import numpy as np

    rows = splits.read(split)
    total = len(next(iter(rows.values())))
    alike = plan_batches({name: rows[name] for name in data.inputs}, total, total)
    wanted = interface_of(task, data).outputs
    parts = []
    for numbers in alike:
        with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
            path = Path(folder) / SPLIT
            splits.write(path, {name: rows[name] for name in data.inputs}, numbers)
            answered = ask(path)
        targets = data.prepare_targets({name: each[numbers] for name, each in rows.items()})
        try:
            parts.append(metric_rows(task.metrics, name_outputs(answered, wanted), targets, data))
        except ValueError as error:
            raise InputError(f"{runtime}: {error}") from error
    order = np.argsort(np.concatenate(alike), kind="stable")
    return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}

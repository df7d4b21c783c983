"""How several engines do on a split together, each asked of the samples of its sizes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from typing import NamedTuple

from edgekd import splits
from edgekd.bench import scores
from edgekd.bench.engine import Engine
from edgekd.bench.size_buckets import assign_buckets
from edgekd.bench.size_buckets import read_lengths
from edgekd.dataset import Dataset
from edgekd.device import Device
from edgekd.devices import local
from edgekd.task import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class SizedEngines(NamedTuple):
    """An engine for each bucket of sizes along a free axis."""

    axis: str
    bounds: tuple[int, ...]
    """Largest size of each bucket but the last, ascending."""
    engines: tuple[Engine, ...]
    """One more than there are bounds."""


def score_by_size(
    sized: SizedEngines,
    split: Path,
    data: Dataset,
    task: Task,
    *,
    timeout_s: float = 600,
    device: Device = local.DEVICE,
) -> dict[str, NDArray[np.float64]]:
    """The rows [N, K] of each of the task's metrics as `edgekd.bench.scores.score_engine` gives them, of the engine for
    each sample's size.

    Raises:
        InputError: if the rows do not fit a model, or its outputs not the task.
        WorkerFailed: if an engine crashes, hangs or is not installed, or gives no such rows.
        ValueError: if no input has the axis.
    """
    import numpy as np

    rows = splits.read(split)
    numbers = assign_buckets(read_lengths(data, sized.axis, rows), sized.bounds)
    parts, order = [], []
    for number in np.unique(numbers).tolist():
        own = np.flatnonzero(numbers == number)
        with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
            path = Path(folder) / scores.SPLIT
            splits.write(path, rows, own)
            parts.append(
                scores.score_engine(
                    sized.engines[number], path, data, task, timeout_s=timeout_s, device=device
                )
            )
        order.append(own)
    back = np.argsort(np.concatenate(order))
    return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}

"""The trackers by name, and how a user asks for one: ``mlflow`` or ``mlflow:URI``."""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable
from collections.abc import Sequence

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.errors import find_nearest
from edgekd.progress import RunStart
from edgekd.tracker import RunTracker
from edgekd.tracker import RunWriter
from edgekd.tracker import TrackerEntry

TRACKERS: dict[str, TrackerEntry] = {
    "mlflow": TrackerEntry(
        "edgekd.trackers.mlflow",
        "mlflow",
        "mlflow",
        "MLflow; by default a file store in the run folder, mlruns/",
    ),
    "tensorboard": TrackerEntry(
        "edgekd.trackers.tensorboard",
        "tensorboard",
        "tensorboard",
        "TensorBoard; by default in the run folder, tensorboard/",
    ),
}


def open_trackers(wanted: Sequence[str], warn: Callable[[str], None]) -> list[RunTracker]:
    """Callbacks of a run, one a tracker.

    Args:
        wanted: ``NAME`` or ``NAME:WHERE``.
        warn: gets one line if one fails while the run goes on.

    Raises:
        InputError: for a name that is none.
        MachineError: if its package is not installed.
    """
    found = []
    for text in wanted:
        name, _, where = text.partition(":")
        if name not in TRACKERS:
            raise InputError(f"track: got {text!r}; {find_nearest(name, TRACKERS)}")
        entry = TRACKERS[name]
        if importlib.util.find_spec(entry.package) is None:
            raise MachineError(
                f"track: {entry.package} is not installed",
                hint=f"pip install 'edgekd[{entry.extra}]'",
            )
        open_run = functools.partial(_open_run, entry.module, where)
        found.append(RunTracker(name, open_run, warn))
    return found


def _open_run(module: str, where: str, start: RunStart) -> RunWriter:
    opened: RunWriter = importlib.import_module(module).open_run(where, start)
    return opened

"""This machine: a worker is a fresh process in a group of its own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from edgekd.device import IN
from edgekd.device import OUT
from edgekd.device import PLAIN_NAME
from edgekd.device import Device
from edgekd.device import WorkerExit
from edgekd.device import WorkerJob
from edgekd.device import input_path
from edgekd.devices import child

INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")


def run(order: WorkerJob) -> WorkerExit:
    """Start the worker, feed it, collect what it writes, and leave nothing of its group alive.

    Raises:
        MachineError: if no process can be started.
    """
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        room = Path(folder)
        for name in (IN, OUT):
            (room / name).mkdir()
        for name, path in order.reads.items():
            (room / input_path(name)).symlink_to(path.resolve())
        ended = child.run(
            [sys.executable, "-I", "-m", order.module],
            order.spec,
            environment={**kept, **order.environment},
            folder=room,
            timeout_s=order.timeout_s,
            turn=order.turn,
        )
        if order.goal is not None:
            _take(room / OUT, order.goal)
    return ended


def _take(left: Path, goal: Path) -> None:
    """Move what a worker left; what is no plain file stays and goes with the room."""
    for path in left.iterdir():
        if path.is_file() and not path.is_symlink() and PLAIN_NAME.fullmatch(path.name):
            shutil.move(path, goal / path.name)


DEVICE = Device("local", run)

"""What a machine that measures is to edgekd: something that can run one worker to its end."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from typing import NamedTuple

TIMEOUT_S = 300.0
"""After this one worker, a build or an engine, is given up where nobody says otherwise."""
IN, OUT = "in", "out"
"""A worker's working folder holds these two: what it reads, and what it may leave."""
PLAIN_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
"""What a file that goes in or comes out may be called."""
STDOUT_BYTES = 64 * 2**20
"""More than this and the worker is killed: a result of 100,000 iterations is 1 MB."""
STDERR_BYTES = 64 * 2**10
"""The end of stderr that is kept."""

Turn = Callable[[], AbstractContextManager[None]]
"""Entered when a worker says that it is `READY`; it goes on when that lets it, and the context ends with it."""
READY = "ready"
"""The phase in which a worker waits for its turn."""


class WorkerJob(NamedTuple):
    """One worker process to run, in a working folder of its own that is empty but for its files."""

    module: str
    """What ``python -I -m`` starts."""
    spec: dict[str, Any]
    """Goes in as JSON on stdin. Its paths are relative to the working folder; the device adds
    ``parent_pid`` and ``spawned_ns``, its own ``perf_counter_ns`` when the process was started."""
    environment: dict[str, str]
    """What is added to the little that a device lets a worker inherit."""
    timeout_s: float
    """After this the worker and all it started are killed."""
    reads: Mapping[str, Path] = {}
    """Files of this machine, laid out as ``in/<name>``."""
    goal: Path | None = None
    """A folder of this machine that takes what the worker leaves under ``out/``: regular files of
    plain names, none else."""
    turn: Turn | None = None
    """What the worker waits for before it times anything, where the device is this machine."""


class WorkerExit(NamedTuple):
    """A worker that is gone."""

    returncode: int
    """Negative for a signal, as in `subprocess`."""
    stdout: bytes
    stderr: bytes
    """The last part of it."""
    timed_out: bool
    overflowed: bool
    """Whether it was killed for writing too much."""


class Device(NamedTuple):
    """One machine."""

    name: str
    run: Callable[[WorkerJob], WorkerExit]
    """Raises MachineError if the machine is not reached or no process can be started there."""


def input_path(name: str) -> str:
    """Return where a worker finds the file `name` that it reads.

    Raises:
        ValueError: if the name is not plain.
    """
    if not PLAIN_NAME.fullmatch(name):
        raise ValueError(f"file name: got {name!r}, want letters, digits, dot, dash, underscore")
    return f"{IN}/{name}"

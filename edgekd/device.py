"""What a machine that measures is to edgekd: something that can run one worker to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Order(NamedTuple):
    """One worker process to run."""

    module: str
    """What ``python -I -m`` starts."""
    stdin: bytes
    environment: dict[str, str]
    """The whole environment, nothing is inherited."""
    timeout_s: float
    """After this the worker and all it started are killed."""


class Ended(NamedTuple):
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
    """One machine. Paths in an order's specification are the device's own."""

    name: str
    run: Callable[[Order], Ended]
    """Raises MachineError if no process can be started there."""

"""Faults on demand: a process that is killed, or a disk that is full, at a chosen durable operation."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

_operations = 0


def trigger_fault(operation: str, path: Path) -> None:
    """Count one durable operation; ``EDGEKD_FAULT=kill@N`` or ``enospc@N`` strikes at the N-th.

    ``EDGEKD_FAULT=log:FILE`` writes each operation's name and goal to FILE instead.
    """
    plan = os.environ.get("EDGEKD_FAULT")
    if not plan:
        return
    global _operations
    _operations += 1
    kind, _, rest = plan.partition(":" if plan.startswith("log") else "@")
    if kind == "log":
        descriptor = os.open(rest, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, f"{_operations} {operation} {path}\n".encode())
        os.close(descriptor)
    elif int(rest) == _operations:
        if kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(errno.ENOSPC, "injected")

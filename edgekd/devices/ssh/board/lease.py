"""Who uses the device: a lock that the kernel drops when its last holder, agent or job, is gone."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

POLL_S = 0.1
HOLDER_BYTES = 200


def lock(path: Path) -> int | None:
    """An open descriptor that holds `path` alone; None if another process does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def acquire(
    path: Path, holder: str, *, wait_s: float, waiting: Callable[[str, float], object]
) -> int | None:
    """Hold the lease, after a wait if need be; None if it stays with another.

    Args:
        path: the lease.
        holder: who asks, for those who will wait for us.
        wait_s: how long to wait for another holder.
        waiting: called again and again with the holder's name and the time to sleep.
    """
    deadline = time.monotonic() + wait_s
    while (descriptor := lock(path)) is None:
        if time.monotonic() >= deadline:
            return None
        waiting(holder_of(path), POLL_S)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, holder.encode()[:HOLDER_BYTES], 0)
    return descriptor


def holder_of(path: Path) -> str:
    """The name the holder has left."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.pread(descriptor, HOLDER_BYTES, 0).decode(errors="replace")
    finally:
        os.close(descriptor)

"""Locks that the kernel drops when their holder dies."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekd.errors import MachineError

try:
    import fcntl
except ImportError:  # Windows: what only reads needs no lock
    fcntl = None  # type: ignore[assignment]


@contextmanager
def hold_lock(
    path: Path,
    *,
    shared: bool = False,
    wait: bool = True,
    waiting: Callable[[str], None] | None = None,
    hint: str = "",
) -> Iterator[None]:
    """Hold the lock file `path`, alone or with others that share it; who does not fit waits.

    Args:
        path: it is made if it is not there, and never removed by who holds it.
        shared: whether others may hold it too, if they share as well.
        wait: whether to wait for another holder.
        waiting: called once with the holder's text before waiting.
        hint: what to do instead of waiting.

    Raises:
        MachineError: if it is held and `wait` is false, or locks do not work here.
    """
    descriptor = _opened(path)
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        if not _taken(descriptor, kind, path):
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
            if not wait:
                raise MachineError(f"{path.parent}: is used by another run ({holder})", hint=hint)
            if waiting is not None:
                waiting(holder)
            fcntl.flock(descriptor, kind)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def try_exclusive_lock(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` alone if nobody holds it; gives whether it is held."""
    descriptor = _opened(path)
    try:
        yield _taken(descriptor, fcntl.LOCK_EX, path)
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    """A descriptor of a lock file: a regular one, since its text is overwritten."""
    if fcntl is None:
        raise MachineError(
            f"{path}: cannot be locked: this system has no flock", hint="on Windows use WSL2"
        )
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise MachineError(f"{path}: cannot be locked: {error.strerror}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(descriptor)
        raise MachineError(f"{path}: cannot be locked: it is no file of its own")
    return descriptor


def _taken(descriptor: int, kind: int, path: Path) -> bool:
    """Take the lock if that needs no waiting."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise MachineError(f"{path}: locks do not work here: {error.strerror}") from error
    return True

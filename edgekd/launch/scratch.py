"""Folders for what a rank makes and nobody keeps; a killed rank's is removed by the next one."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: there is no launcher of ours
    fcntl = None  # type: ignore[assignment]

PREFIX = "edgekd-rank-"
SETTLED_S = 60.0
"""A folder younger than that may be one whose owner has not locked it yet."""


@contextmanager
def open_scratch_folder() -> Iterator[Path]:
    """A new folder among the system's temporary ones, removed at the end with those whose owners were killed."""
    remove_abandoned(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX) as name, _hold(Path(name)):
        yield Path(name)


def remove_abandoned(parent: Path) -> None:
    """Remove scratch folders of this user in `parent` that no process holds any more."""
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            status = folder.lstat()
            is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
            if is_own and time.time() - status.st_mtime > SETTLED_S:
                with _hold(folder):
                    shutil.rmtree(folder)


@contextmanager
def _hold(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder that the kernel drops with this process.

    Raises:
        BlockingIOError: if another process holds it.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)

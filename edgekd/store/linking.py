"""A file that a stage made inside the store gets a second name there; every other file is copied."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from edgekd import files


def put_file(path: Path, goal: Path, work: Path, size_bytes: int) -> None:
    """Put the bytes of `path` at `goal`, whole or not at all.

    What a stage made in its own folder of the store is never written again: its name goes with that folder, so the blob
    may be the same file. That costs neither the disk's room nor its time. What lies elsewhere may be changed by whoever
    owns it, and is copied.

    Args:
        path: what to take.
        goal: where it is to stand.
        work: the stages' own folders.
        size_bytes: of the file.

    Raises:
        MachineError: if the disk refuses.
    """
    if _is_own(path, work):
        files.write_through(goal, lambda new: _link(path, new, size_bytes))
    else:
        files.write_through(goal, lambda new: shutil.copyfile(path, new), size_bytes=size_bytes)


def _is_own(path: Path, work: Path) -> bool:
    """Return whether a stage made that file in its folder, and nothing else names it."""
    try:
        found = path.lstat()
        inside = path.resolve().is_relative_to(work.resolve())
    except OSError:
        return False
    return inside and stat.S_ISREG(found.st_mode) and found.st_nlink == 1


def _link(path: Path, new: Path, size_bytes: int) -> None:
    """Give `path` the name `new`, under which an empty file stands, and that one's mode; copy it where links are refused."""
    mode = stat.S_IMODE(new.stat().st_mode)
    new.unlink()
    try:
        os.link(path, new, follow_symlinks=False)
    except OSError:  # another file system, or one without links
        if shutil.disk_usage(new.parent).free < size_bytes:
            raise
        shutil.copyfile(path, new)
    new.chmod(mode)

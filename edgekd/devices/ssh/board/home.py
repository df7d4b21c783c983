"""What edgekd keeps on a device: files by content, jobs, and its own code.

cas/<sha256>     files a worker reads
jobs/<id>/       lock, room/ (the worker's working folder), stdout, stderr, result.json
code/<sha256>/   edgekd, as pushed
venv             a link to the private environment, if one was set up
lease            who uses the device (flock)
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import MachineError

JOB_LIFE_S = 3600.0
"""A finished job that nobody has fetched is kept this long."""
CODES = 3
"""How many versions of edgekd's own code are kept."""


def make_folders(root: Path) -> None:
    """Make the folders."""
    for name in ("cas", "jobs", "code"):
        files.make_folder(root / name)


def remove_leftovers(root: Path, code: Path) -> None:
    """Remove what killed processes and other versions have left; for who holds the lease alone.

    Jobs are kept for a while for a controller that comes back; the clock may have jumped either way.
    """
    for folder in (root, root / "cas", *(root / "jobs").glob("*/")):
        files.sweep_temporaries(folder)
    codes = sorted((root / "code").iterdir(), key=lambda path: path.stat().st_mtime)
    for path in codes[:-CODES]:
        if path != code:
            files.remove(path)
    for folder in (root / "jobs").iterdir():
        if abs(time.time() - folder.stat().st_mtime) > JOB_LIFE_S:
            files.remove(folder)


def python_path(root: Path) -> str:
    """The Python that runs a worker: the private environment's Python if there is one."""
    private = root / "venv" / "bin" / "python"
    return str(private) if private.exists() else sys.executable


def blob_path(root: Path, sha256: str) -> Path:
    """The path of the file with this digest."""
    return root / "cas" / sha256


def has_blob(root: Path, sha256: str, size_bytes: int) -> bool:
    """Return whether the file is here and has this digest; a damaged one is removed."""
    path = blob_path(root, sha256)
    try:
        if path.lstat().st_size == size_bytes and files.digest_file(path) == sha256:
            os.utime(path)
            return True
    except FileNotFoundError:
        return False
    except InputError:
        pass
    files.remove(path)
    return False


def store_blob(root: Path, sha256: str, size_bytes: int, pieces: Iterable[bytes]) -> None:
    """Store a file under its digest.

    Raises:
        MachineError: if the disk refuses it, or it is not what its digest says.
    """

    def write(temporary: Path) -> None:
        with temporary.open("r+b") as file:
            os.fchmod(file.fileno(), 0o400)
            for piece in pieces:
                file.write(piece)
        if files.digest_file(temporary) != sha256:
            raise MachineError(f"{sha256[:12]}: came through changed")

    files.write_through(blob_path(root, sha256), write, size_bytes=size_bytes)


def make_space(root: Path, needed_bytes: int, wanted: set[str]) -> None:
    """Remove files no order has used for longest, until `needed_bytes` fit; or all but `wanted`."""
    held = sorted((root / "cas").iterdir(), key=lambda path: path.stat().st_mtime)
    for path in held:
        if shutil.disk_usage(root).free > needed_bytes * 1.2:
            return
        if path.name not in wanted:
            files.remove(path)

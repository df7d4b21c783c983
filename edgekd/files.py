"""Digests and durable writes: the only module that puts bytes on disk for keeps.

Every write goes to a temporary file beside its goal, is flushed to the disk and renamed, so a
reader sees the old bytes or the new ones and nothing between (reliability: 6.1). Each step is a
numbered *durable operation*; ``EDGEKD_FAULT`` (see `_fault`) kills the process or fills the disk
at a chosen one, which is how the tests sweep every point.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import stat
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgekd.errors import InputError
from edgekd.errors import MachineError

TEMPORARY_PREFIX = ".tmp-"
_operations = 0


def canonical_json(value: Any) -> bytes:
    """The one spelling of a JSON value: sorted keys, no spaces, no NaN.

    Raises:
        ValueError: for NaN, infinities and values JSON has no word for.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode() + b"\n"


def pretty_json(value: Any) -> bytes:
    """JSON for people: keys in the order given, two spaces; refuses NaN as `canonical_json` does."""
    return json.dumps(value, indent=2, allow_nan=False).encode() + b"\n"


def digest_bytes(data: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a regular file, hexadecimal.

    Raises:
        InputError: if `path` is missing or is no regular file (a FIFO would wait for ever).
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_regular(path: Path) -> Any:
    """`path` opened for reading bytes, refusing what is no regular file.

    Raises:
        InputError: if it is missing, unreadable, a folder, a FIFO or a device.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"{path}: got something that is no regular file, want a file")
    return os.fdopen(descriptor, "rb")


def read_json(path: Path, *, limit_bytes: int = 2**24) -> Any:
    """The value in a JSON file that somebody else may have written.

    Raises:
        InputError: if it is no regular file, too large, no UTF-8 JSON, nested beyond what can be
            read, names a key twice, or holds NaN or an infinity.
    """
    with open_regular(path) as file:
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise InputError(f"{path}: got more than {limit_bytes} bytes, want less")
    try:
        return json.loads(data, object_pairs_hook=_once, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: got no JSON: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def write_bytes(path: Path, data: bytes) -> None:
    """Put `data` at `path`, whole or not at all."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    write_through(path, write, size_bytes=len(data))


def write_through(path: Path, write: Callable[[Path], object], *, size_bytes: int = 0) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place.

    Args:
        path: where the bytes are to stand; its folder is made.
        write: writes the path it is given.
        size_bytes: what is about to be written, for the check of free space; 0 if not known.

    Raises:
        MachineError: if the disk is full or refuses the write; `path` keeps what it had.
    """
    temporary = path.parent / f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _preflight(path.parent, size_bytes)
        _fault("write", path)
        write(temporary)
        _flush(temporary)
        _fault("rename", path)
        temporary.replace(path)
        _flush(path.parent)
        _fault("renamed", path)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def replace_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` build a folder beside `folder`, then put it in the old one's place.

    The old folder is moved aside first and removed last: at no moment is it half overwritten.

    Raises:
        MachineError: if the disk refuses.
    """
    mark = uuid.uuid4().hex
    fresh = folder.parent / f"{TEMPORARY_PREFIX}{mark}"
    aside = folder.parent / f"{TEMPORARY_PREFIX}{mark}-old"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh.mkdir()
        fill(fresh)
        for path in sorted(fresh.rglob("*")):
            _flush(path)
        _fault("rename", folder)
        if folder.exists():
            folder.rename(aside)
        fresh.rename(folder)
        _flush(folder.parent)
        _fault("renamed", folder)
    except OSError as error:
        if aside.exists() and not folder.exists():
            aside.rename(folder)
        raise _refused(folder, error) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def make_folder(path: Path) -> Path:
    """`path` as a folder that can be written.

    Raises:
        MachineError: if it cannot be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _refused(path, error) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise MachineError(f"{path}: got a folder that cannot be written, want one that can")
    return path


def remove(path: Path) -> None:
    """Remove a file or folder that may be gone already."""
    _fault("remove", path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sweep_temporaries(folder: Path) -> None:
    """Remove what a killed process left half written directly in `folder`."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        remove(path)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _preflight(folder: Path, size_bytes: int) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if size_bytes * 1.2 > free_bytes:
        raise OSError(errno.ENOSPC, f"{size_bytes} bytes to write, {free_bytes} free")


def _refused(path: Path, error: OSError) -> MachineError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    reason = f"the disk is full ({error.strerror})" if full else error.strerror or str(error)
    hint = "free some space and run the same command again" if full else ""
    return MachineError(f"{path}: cannot be written: {reason}", hint=hint)


def _fault(operation: str, path: Path) -> None:
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
        with open(rest, "a") as log:
            log.write(f"{_operations} {operation} {path}\n")
    elif int(rest) == _operations:
        if kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(errno.ENOSPC, "injected")

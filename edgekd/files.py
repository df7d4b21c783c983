"""Digests and durable writes: the only module that puts bytes on disk for keeps.

Every write goes to a temporary file beside its goal, is flushed to the disk and renamed, so a
reader sees the old bytes or the new ones and nothing between (reliability: 6.1). Each step is a
numbered *durable operation*; ``EDGEKD_FAULT`` (see `edgekd.faults`) kills the process or fills the disk
at a chosen one, which is how the tests sweep every point.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgekd import faults
from edgekd import strict_json
from edgekd.errors import InputError
from edgekd.errors import MachineError

_NONBLOCK, _NOFOLLOW = getattr(os, "O_NONBLOCK", 0), getattr(os, "O_NOFOLLOW", 0)
_TEMPORARY = re.compile(r"\.tmp-[0-9a-f]{32}-edgekd(?:-old-(?P<folder>.+))?")
"""What is half written; with its old name, a folder that another one is to take the place of."""


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


def digest_file(path: Path, *, follow: bool = True) -> str:
    """SHA-256 of a regular file, hexadecimal.

    Raises:
        InputError: as `open_regular`.
    """
    with open_regular(path, follow=follow) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_regular(path: Path, *, follow: bool = True) -> Any:
    """`path` opened for reading bytes, refusing what is no regular file.

    Args:
        path: what to open.
        follow: whether it may be a symbolic link to one.

    Raises:
        InputError: if it is missing, unreadable, a folder, a FIFO (which would wait for ever) or a device.
    """
    flags = os.O_RDONLY | _NONBLOCK | (0 if follow else _NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError(f"{path}: got something that is no regular file, want a file")
    return os.fdopen(descriptor, "rb")


def read_json(path: Path, *, limit_bytes: int = 2**24, follow: bool = True) -> Any:
    """The value in a JSON file that somebody else may have written.

    Raises:
        InputError: if it is no regular file, too large, no UTF-8 JSON, nested beyond what can be
            read, names a key twice, or holds NaN or an infinity.
    """
    with open_regular(path, follow=follow) as file:
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise InputError(f"{path}: got more than {limit_bytes} bytes, want less")
    try:
        return strict_json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: got no JSON: {error}") from error


def write_bytes(path: Path, data: bytes) -> None:
    """Put `data` at `path`, whole or not at all."""
    write_through(path, lambda temporary: temporary.write_bytes(data), size_bytes=len(data))


def write_through(path: Path, write: Callable[[Path], object], *, size_bytes: int = 0) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place.

    What replaces a file gets its mode, and nobody else can read it before; a new file gets the umask's.

    Args:
        path: where the bytes are to stand; its folder is made.
        write: writes into the path it is given, where an empty file stands.
        size_bytes: what is about to be written, for the check of free space; 0 if not known.

    Raises:
        MachineError: if the disk is full or refuses the write; `path` keeps what it had.
    """
    temporary = temporary_in(path.parent)
    try:
        _make_folder(path.parent)
        free_bytes = shutil.disk_usage(path.parent).free
        if size_bytes * 1.2 > free_bytes:
            raise OSError(errno.ENOSPC, f"{size_bytes} bytes to write, {free_bytes} free")
        faults.trigger_fault("write", path)
        replaces = path.is_file() and not path.is_symlink()
        temporary.touch(0o600 if replaces else 0o666, exist_ok=False)
        write(temporary)
        if replaces:
            shutil.copymode(path, temporary)
        _flush(temporary)
        faults.trigger_fault("rename", path)
        temporary.replace(path)
        _flush(path.parent)
        faults.trigger_fault("renamed", path)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        discard(temporary)


def write_output(path: Path, data: bytes) -> None:
    """Put `data` where a user wants it: into a regular file as `write_bytes` does, and *into* a device,
    a FIFO or what lies in /dev or /proc (as ``/dev/stdout``), which are never replaced.

    Raises:
        InputError: if it is a folder.
        MachineError: if the disk or the device refuses.
    """
    special = path.exists() and not path.is_file() and not path.is_dir()
    if not special and not str(path.absolute()).startswith(("/dev/", "/proc/")):
        goal = regular_output(path)
        return write_bytes(goal, data)
    try:
        with open(path, "wb") as file:
            file.write(data)
    except OSError as error:
        raise _refused(path, error) from error


def regular_output(path: Path) -> Path:
    """The file that a user's `path` stands for: where it is a symbolic link, what that points to.

    Raises:
        InputError: if there is something that is no regular file.
        MachineError: if there is a file that may not be written.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: got {'a folder' if path.is_dir() else 'a device'}, want a file")
    if path.exists() and not os.access(path, os.W_OK):
        raise MachineError(f"{path}: got a file that may not be written, want one that may")
    return Path(os.path.realpath(path))


def replace_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` build a folder beside `folder`, then put it in the old one's place, with its mode.

    The old folder is moved aside first and removed last: at no moment is it half overwritten, and if the
    process is killed while it lies aside, `sweep_temporaries` puts it back.

    Raises:
        MachineError: if the disk refuses.
    """
    fresh = temporary_in(folder.parent)
    aside = folder.parent / f"{fresh.name}-old-{folder.name}"
    try:
        _make_folder(folder.parent)
        fresh.mkdir(0o700 if folder.exists() else 0o777)
        fill(fresh)
        for path in (fresh, *fresh.rglob("*")):
            _flush(path)
        faults.trigger_fault("rename", folder)
        if folder.exists():
            shutil.copymode(folder, fresh)
            folder.rename(aside)
            faults.trigger_fault("moved aside", folder)
        fresh.rename(folder)
        _flush(folder.parent)
        faults.trigger_fault("renamed", folder)
    except OSError as error:
        raise _refused(folder, error) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        if aside.exists():
            with suppress(OSError):  # where even this is refused, the old folder stays aside
                _settle(aside)


def make_folder(path: Path) -> Path:
    """`path` as a folder that can be written.

    Raises:
        MachineError: if it cannot be made or written.
    """
    require_writable(path)
    try:
        _make_folder(path)
    except OSError as error:
        raise _refused(path, error) from error
    return path


def require_writable(path: Path) -> None:
    """Raises MachineError if `path` is no folder that can be written, or none can be made there; makes none."""
    standing = next(each for each in (path, *path.absolute().parents) if os.path.lexists(each))
    if not standing.is_dir():
        raise MachineError(f"{path}: cannot be written: {standing} is no folder")
    if not os.access(standing, os.W_OK | os.X_OK):
        raise MachineError(f"{standing}: got a folder that cannot be written, want one that can")


def remove(path: Path) -> None:
    """Remove a file or folder that may be gone already."""
    faults.trigger_fault("remove", path)
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_temporary(path: Path) -> bool:
    """Return whether a name is one that this module gives to what is half written."""
    return _TEMPORARY.fullmatch(path.name) is not None


def sweep_temporaries(folder: Path) -> None:
    """Remove what a killed process of this user left half written directly in `folder`, and put back
    what it had moved aside.

    The caller holds the folder's lock: else it might be what another process is writing.
    """
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if is_temporary(path) and path.lstat().st_uid == os.geteuid():
            _settle(path)


def _settle(temporary: Path) -> None:
    """Give a folder that was moved aside its name back if nothing took its place; remove anything else."""
    match = _TEMPORARY.fullmatch(temporary.name)
    goal = temporary.parent / match["folder"] if match and match["folder"] else None
    if goal is not None and temporary.is_dir() and not os.path.lexists(goal):
        temporary.rename(goal)
    else:
        remove(temporary)


def temporary_in(folder: Path) -> Path:
    """A name in `folder` that `sweep_temporaries` knows, for what is not yet whole."""
    return folder / f".tmp-{uuid.uuid4().hex}-edgekd"


def discard(temporary: Path) -> None:
    """Remove what was not put in place; where that is refused, so was the write, which says why."""
    with suppress(OSError):
        temporary.unlink()


def _make_folder(path: Path) -> None:
    """Make a folder and those it lies in, each one's name flushed to the disk."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for each in missing:
        _flush(each.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refused(path: Path, error: OSError) -> MachineError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    reason = f"the disk is full ({error.strerror})" if full else error.strerror or str(error)
    hint = "free some space and run the same command again" if full else ""
    return MachineError(f"{path}: cannot be written: {reason}", hint=hint)

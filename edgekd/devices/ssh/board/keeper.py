"""The process that stays with a worker when the link does not: limits it, and keeps its result.

It is forked from the agent into a session of its own and holds the job's lock and the device's lease
until it ends, so whether a job still runs is asked of the kernel, never of a process number.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import stat
import sys
from pathlib import Path
from types import FrameType
from typing import Any
from typing import NoReturn

from edgekd import files
from edgekd.device import IN
from edgekd.device import OUT
from edgekd.device import PLAIN_NAME
from edgekd.device import input_path
from edgekd.devices import child
from edgekd.devices.ssh.board import home
from edgekd.errors import EdgekdError

INHERITED = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
MARK = "EDGEKD_JOB"
"""In a worker's environment: whose it is, when its keeper is no longer there to tell."""
START = (
    "import runpy,sys;sys.path.insert(0,sys.argv.pop(1));m=sys.argv.pop(1);"
    "runpy.run_module(m,run_name='__main__',alter_sys=True)"
)
"""``python -I -m`` with one more folder to import from; ``-I`` hears of no other way."""
RESULT, KEEPER, STDOUT, STDERR, ROOM = "result.json", "keeper", "stdout", "stderr", "room"


def make_work_folder(root: Path, folder: Path, reads: dict[str, Any]) -> None:
    """Make the worker's working folder: what it reads under ``in/``, an empty ``out/``."""
    room = folder / ROOM
    shutil.rmtree(room, ignore_errors=True)
    for name in (IN, OUT):
        (room / name).mkdir(parents=True)
    for name, (sha256, _) in reads.items():
        (room / input_path(name)).symlink_to(home.blob_path(root, sha256))


def start(root: Path, code: Path, folder: Path, order: dict[str, Any]) -> tuple[int, int]:
    """Fork the keeper; its process number, and a descriptor that reads empty when it is gone."""
    reading, writing = os.pipe()
    number = os.fork()
    if number:
        os.close(writing)
        return number, reading
    try:
        _detach()
        _keep(root, code, folder, order)
    finally:
        os._exit(0)


def _detach() -> None:
    os.setsid()
    signal.alarm(0)
    signal.signal(signal.SIGTERM, _end)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(1)


def _keep(root: Path, code: Path, folder: Path, order: dict[str, Any]) -> None:
    _write(folder / KEEPER, str(os.getpid()).encode())
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    try:
        ended = child.run(
            [home.python_path(root), "-I", "-c", START, str(code), order["module"]],
            order["spec"],
            environment={**kept, **order["environment"], MARK: folder.name},
            folder=folder / ROOM,
            timeout_s=order["timeout_s"],
        )
        _write(folder / STDOUT, ended.stdout)
        _write(folder / STDERR, ended.stderr)
        result = {
            "returncode": ended.returncode,
            "timed_out": ended.timed_out,
            "overflowed": ended.overflowed,
            "drawn": order["drawn"],
            "stdout": _described(folder / STDOUT),
            "stderr": _described(folder / STDERR),
            "files": _left(folder / ROOM / OUT) if order["takes"] else {},
        }
        files.write_bytes(folder / RESULT, files.canonical_json(result))
    except (OSError, EdgekdError) as error:
        _give_up(folder, error_text(error))


def _write(path: Path, data: bytes) -> None:
    """Plain bytes; that they are whole is told by their digest in the result, which comes last."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _described(path: Path) -> list[Any]:
    return [files.digest_file(path), path.stat().st_size]


def _left(folder: Path) -> dict[str, list[Any]]:
    """Digest and size of what the worker left: regular files of plain names."""
    return {
        path.name: _described(path)
        for path in sorted(folder.iterdir())
        if stat.S_ISREG(path.lstat().st_mode) and PLAIN_NAME.fullmatch(path.name)
    }


def error_text(error: Exception) -> str:
    """The text of an error for the controller."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full"
    return str(error)


def _give_up(folder: Path, message: str) -> None:
    """Say why there is no result; the worker's files go first, for the disk may be full."""
    for name in (STDOUT, STDERR):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / ROOM, ignore_errors=True)
    with contextlib.suppress(EdgekdError, OSError):
        files.write_bytes(folder / RESULT, files.canonical_json({"refused": message[:500]}))


def end(folder: Path, *, brutal: bool) -> None:
    """Ask the keeper of a job that is known to be running to end it; or end the keeper itself."""
    with contextlib.suppress(OSError, ValueError):
        number = int((folder / KEEPER).read_text())
        os.kill(number, signal.SIGKILL if brutal else signal.SIGTERM)


def end_orphans(job: str) -> None:
    """Kill what a keeper that was killed itself has left behind."""
    mark = f"{MARK}={job}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)

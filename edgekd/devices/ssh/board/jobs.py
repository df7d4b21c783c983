"""Starts an order's worker once, waits for it, sends its result, and removes the job."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

from edgekd import files
from edgekd.devices.ssh.board import keeper
from edgekd.devices.ssh.board import lease
from edgekd.devices.ssh.board.pipe import CHUNK_BYTES
from edgekd.devices.ssh.board.pipe import ControllerGone
from edgekd.devices.ssh.board.pipe import Pipe
from edgekd.errors import EdgekdError
from edgekd.errors import MachineError

TRIES = 2
"""A worker whose keeper was killed, or the device rebooted under it, is started once more."""
STARTS = "starts"
END_WAIT_S = 5.0


def lock_job(folder: Path) -> int | None:
    """The job's lock, its folder made; None while its keeper is at work."""
    folder.mkdir(parents=True, exist_ok=True)
    return lease.lock(folder / "lock")


def run(root: Path, code: Path, folder: Path, order: dict[str, Any], pipe: Pipe) -> None:
    """Start the worker under a keeper, which inherits the locks held here, and wait for its end.

    Raises:
        MachineError: if it was started before and ended each time without a word.
        ControllerGone: if the controller goes first; the keeper stays.
    """
    starts = folder / STARTS
    before = len(starts.read_bytes()) if starts.exists() else 0
    if before:
        keeper.end_orphans(folder.name)
    if before >= TRIES:
        shutil.rmtree(folder, ignore_errors=True)
        raise MachineError("the worker and its keeper were killed there twice")
    descriptor = os.open(starts, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, b".")
    os.close(descriptor)
    keeper.make_work_folder(root, folder, order["reads"])
    number, over = keeper.start(root, code, folder, order)
    try:
        pipe.say({"say": "started"})
        while over not in (ready := pipe.wait(60.0, over)):
            if ready:  # the controller says nothing while it waits: it is gone
                raise ControllerGone
        os.waitpid(number, 0)
    finally:
        os.close(over)


def send_result(folder: Path, pipe: Pipe) -> bool:
    """Send the result if it is complete; return whether it was."""
    result = _read(folder)
    if result is None:
        return False
    if "refused" in result:
        shutil.rmtree(folder, ignore_errors=True)
        raise MachineError(str(result["refused"]))
    described = {"stdout": result["stdout"], "stderr": result["stderr"]}
    paths = {folder / name: text for name, text in described.items()}
    out = folder / keeper.ROOM / "out"
    paths |= {out / name: text for name, text in sorted(result["files"].items())}
    if not all(_whole(path, *text) for path, text in paths.items()):
        (folder / keeper.RESULT).unlink(missing_ok=True)
        return False
    pipe.say({"say": "ended", **result})
    for path in paths:
        with path.open("rb") as file:
            while data := file.read(CHUNK_BYTES):
                pipe.send(data)
    return True


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        value = files.read_json(folder / keeper.RESULT)
    except EdgekdError:
        return None
    return value if isinstance(value, dict) else None


def _whole(path: Path, sha256: str, size_bytes: int) -> bool:
    try:
        return path.lstat().st_size == size_bytes and files.digest_file(path) == sha256
    except (OSError, EdgekdError):
        return False


def abandon(folder: Path) -> None:
    """End a job that runs, and forget it."""
    for brutal in (False, True):
        deadline = time.monotonic() + END_WAIT_S
        while folder.exists():
            held = lock_job(folder)
            if held is not None:
                keeper.end_orphans(folder.name)
                shutil.rmtree(folder, ignore_errors=True)
                os.close(held)
                return
            keeper.end(folder, brutal=brutal)
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)


def clear(folder: Path) -> None:
    """Forget a job; a keeper that is still at work keeps it."""
    held = lease.lock(folder / "lock") if folder.exists() else None
    if held is not None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)

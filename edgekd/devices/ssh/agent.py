"""The first thing that runs on a device: lets edgekd's own code in by its digest and hands over to it.

Its text is fed to ``python3 -I`` over the link. It imports nothing but the standard library, of any
Python 3.7 or newer, so that an older one than edgekd wants can be told so. What follows it on stdin is
one line of JSON, ``{"payload": SHA-256, "size_bytes": N}``; it answers with `HELLO` and JSON. Nothing is
sent to it before it has answered, so nothing meant for what follows it lies in its buffer.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from typing import Any

HELLO = "edgekd-hello "
"""Begins the first line that counts; what a login shell prints before it does not."""
OLDEST_PYTHON = (3, 11)
PAYLOAD_FILE = "payload.zip"
"""The payload as it came, beside the files that were in it."""


def main() -> None:
    """Say hello, take the payload if it is not here yet, and serve."""
    source = sys.stdin.buffer
    greeting = json.loads(source.readline().decode())
    if sys.version_info[:2] < OLDEST_PYTHON:
        got, want = (".".join(map(str, v)) for v in (sys.version_info[:3], OLDEST_PYTHON))
        _say(HELLO, {"refused": f"python3 is {got} there, want {want} or newer"})
        return
    os.umask(0o077)
    root = _home()
    code = root / "code" / greeting["payload"]
    held = _is_whole(code, greeting["payload"])
    _say(HELLO, {"held": held})
    if not held:
        try:
            _unpack(source.read(greeting["size_bytes"]), greeting["payload"], code)
        except OSError as error:
            _say("", {"say": "refused", "message": f"edgekd cannot be put there: {error.strerror}"})
            return
        _say("", {"say": "ready"})
    sys.path.insert(0, str(code))
    from edgekd.devices.ssh import board

    board.serve(root, code)


def _say(prefix: str, value: dict[str, Any]) -> None:
    os.write(1, (prefix + json.dumps(value) + "\n").encode())


def _home() -> Path:
    """The one folder that edgekd has here: private, this user's own."""
    root = Path("~").expanduser() / ".cache" / f"edgekd-{os.getuid()}"
    why = ""
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if root.is_symlink() or root.stat().st_uid != os.getuid():
            why = "is no folder of this user's own"
        root.chmod(0o700)
    except OSError as error:
        why = f"cannot be made: {error.strerror}"
    if why:
        _say(HELLO, {"refused": f"{root} {why}"})
        sys.exit(1)
    return root


def _is_whole(code: Path, digest: str) -> bool:
    """Return whether every file of the payload lies there as it came; a disk or a user may have damaged some."""
    try:
        packed = code / PAYLOAD_FILE
        if hashlib.sha256(packed.read_bytes()).hexdigest() != digest:
            return False
        with zipfile.ZipFile(packed) as archive:
            return all((code / n).read_bytes() == archive.read(n) for n in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _unpack(data: bytes, digest: str, code: Path) -> None:
    """Put the payload in place whole or not at all; what is damaged there goes."""
    if hashlib.sha256(data).hexdigest() != digest:
        sys.exit("the payload came through changed")
    fresh = code.with_name(f".tmp-{digest}-{os.getpid()}")
    aside = code.with_name(f".tmp-{digest}-{os.getpid()}-old")
    packed = fresh / PAYLOAD_FILE
    fresh.mkdir(parents=True)
    try:
        descriptor = os.open(packed, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(fresh)
        for path in fresh.rglob("*"):
            _flush(path)
        if not _is_whole(code, digest):  # another link may have mended it
            if code.is_symlink() or code.is_file():
                code.unlink()
            elif code.exists():
                code.rename(aside)
            fresh.rename(code)
            _flush(code.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    main()

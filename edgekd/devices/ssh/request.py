"""Turns an order into the request a device gets, and names the job that keeps its result."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.device import WorkerJob
from edgekd.device import input_path
from edgekd.devices.ssh.link import CHUNK_BYTES
from edgekd.errors import InputError

DRAWN_SPEC, DRAWN_ENVIRONMENT = ("token",), ("EDGEKD_PADDING",)
"""What a controller draws anew for each process: no part of what is asked, so a controller that was killed
and started again asks the same and gets what is done already."""


class Request(NamedTuple):
    """One order as it is sent."""

    frame: dict[str, Any]
    blobs: dict[str, tuple[Path, int]]
    """Files and their sizes by digest."""
    drawn: dict[str, str]

    @property
    def identity(self) -> str:
        """The job's name on the device."""
        return str(self.frame["id"])


class DigestCache:
    """SHA-256 and size of files, each read once while it stays as it is."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], str] = {}

    def of(self, path: Path) -> tuple[str, int]:
        """Return digest and size.

        Raises:
            InputError: unless it is a readable regular file.
        """
        try:
            found = path.stat()
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from error
        mark = (str(path), found.st_ino, found.st_mtime_ns, found.st_size)
        if mark not in self._known:
            self._known[mark] = files.digest_file(path)
        return self._known[mark], found.st_size


def make_request(
    order: WorkerJob, digest: Callable[[Path], tuple[str, int]], *, code: str, holder: str
) -> Request:
    """Make the request for an order.

    Args:
        order: what is to be run.
        digest: digest and size of a file.
        code: digest of the code that runs it.
        holder: whose it is, for others who wait.
    """
    described = {name: digest(path) for name, path in order.reads.items()}
    for name in described:
        input_path(name)
    drawn = {name: str(order.spec[name]) for name in DRAWN_SPEC if name in order.spec}
    question = {
        "code": code,
        "module": order.module,
        "spec": _without(order.spec, DRAWN_SPEC),
        "environment": _without(order.environment, DRAWN_ENVIRONMENT),
        "timeout_s": order.timeout_s,
        "reads": described,
        "takes": order.goal is not None,
        "holder": holder,
    }
    frame = {
        **question,
        "do": "order",
        "id": files.digest_bytes(files.canonical_json(question))[:32],
        "spec": order.spec,
        "environment": order.environment,
        "drawn": drawn,
    }
    blobs = {described[name][0]: (path, described[name][1]) for name, path in order.reads.items()}
    return Request(frame, blobs, drawn)


def _without(mapping: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if name not in names}


def read_chunks(path: Path, size_bytes: int) -> Iterator[bytes]:
    """Read a file chunk by chunk.

    Raises:
        InputError: if it no longer has the size that was announced.
    """
    left = size_bytes
    with files.open_regular(path) as file:
        while data := file.read(CHUNK_BYTES):
            left -= len(data)
            if left < 0:
                break
            yield data
    if left:
        raise InputError(f"{path}: was changed while it was being pushed")


def holder_name() -> str:
    """The user and host to show to others who wait; the same after a restart, so that jobs are found again."""
    import getpass
    import platform

    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = str(os.getuid())
    return f"{name}@{platform.node()}"[:100]

"""Checks what a device sends: its shape and limits; no text of it can act on a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from edgekd.device import PLAIN_NAME
from edgekd.device import STDERR_BYTES
from edgekd.device import STDOUT_BYTES
from edgekd.errors import MachineError
from edgekd.printable import escape_unprintable

QUIET_S = 60.0
"""A device that owes us something and says nothing for so long does not answer."""
FILES = 1000
FILES_BYTES = 8 * 2**30
"""What a worker may leave: a file too many, or a byte, and none is taken."""
DIGEST = re.compile(r"[0-9a-f]{64}")


class AnnouncedFile(NamedTuple):
    """Digest and size of bytes that a device is about to send."""

    sha256: str
    size_bytes: int


class WorkerResult(NamedTuple):
    """Exit of a worker on the device, and the files it left."""

    returncode: int
    timed_out: bool
    overflowed: bool
    drawn: dict[str, str]
    stdout: AnnouncedFile
    stderr: AnnouncedFile
    files: dict[str, AnnouncedFile]


def parse_frame(line: bytes, where: str) -> dict[str, Any]:
    """Parse one line as a JSON object.

    Raises:
        MachineError: if the line is not one.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise protocol_error(where, line[:60], "a JSON object")
    return value


def protocol_error(where: str, got: object, want: str) -> MachineError:
    """The error for a device that did not keep to the protocol."""
    return MachineError(f"{where}: said {escape_unprintable(repr(got))[:80]}, want {want}")


def parse_result(value: Mapping[str, Any], where: str, *, takes: bool) -> WorkerResult:
    """Check the device's result message.

    Raises:
        MachineError: if a field is missing, of another kind, or beyond its limit.
    """
    try:
        files = {_name(name): _piece(piece, FILES_BYTES) for name, piece in value["files"].items()}
        if len(files) > FILES or (files and not takes):
            raise ValueError("more files than can be")
        if sum(piece.size_bytes for piece in files.values()) > FILES_BYTES:
            raise ValueError("larger files than can be")
        return WorkerResult(
            _integer(value["returncode"], -255, 255),
            _flag(value["timed_out"]),
            _flag(value["overflowed"]),
            {str(name): str(text) for name, text in value["drawn"].items()},
            _piece(value["stdout"], STDOUT_BYTES),
            _piece(value["stderr"], STDERR_BYTES),
            files,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise protocol_error(where, f"a result: {error}", "a result of the known shape") from error


def _integer(value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{value!r:.40}, want {low} to {high}")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r:.40}, want true or false")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not PLAIN_NAME.fullmatch(value):
        raise ValueError(f"file name {value!r:.40}")
    return value


def _piece(value: object, limit_bytes: int) -> AnnouncedFile:
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], str):
        raise ValueError(f"{value!r:.40}, want a digest and a size")
    if not DIGEST.fullmatch(value[0]):
        raise ValueError(f"digest {value[0]!r:.70}")
    return AnnouncedFile(value[0], _integer(value[1], 0, limit_bytes))


def escape_stdout(stdout: bytes, replacements: Mapping[str, str]) -> bytes:
    """A worker's stdout with unprintable characters escaped in every text, line by line.

    Args:
        stdout: JSON lines; a line that is not JSON counts as text.
        replacements: text to put in place of another, where that is a whole value.
    """
    return b"".join(_clean_line(line, replacements) + b"\n" for line in stdout.splitlines())


def _clean_line(line: bytes, replacements: Mapping[str, str]) -> bytes:
    try:
        return json.dumps(_plain(json.loads(line), replacements)).encode()
    except (ValueError, RecursionError):
        return escape_unprintable(line.decode(errors="replace")).encode()


def _plain(value: Any, replacements: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return replacements.get(value) or escape_unprintable(value)
    if isinstance(value, list):
        if value and isinstance(value[0], int | float):  # 100,000 times need no look at each
            return (
                value
                if all(isinstance(v, int | float) for v in value)
                else [_plain(v, replacements) for v in value]
            )
        return [_plain(v, replacements) for v in value]
    if isinstance(value, dict):
        return {escape_unprintable(name): _plain(v, replacements) for name, v in value.items()}
    return value


def escape_stderr(stderr: bytes) -> bytes:
    """A worker's stderr with unprintable characters escaped, line by line."""
    lines = stderr.decode(errors="replace").splitlines()
    return "\n".join(escape_unprintable(line) for line in lines).encode()

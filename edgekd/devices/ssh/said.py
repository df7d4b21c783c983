"""What a device says, held to its shape: nothing it sends is trusted, and nothing of it can move a cursor."""

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


class Piece(NamedTuple):
    """Bytes that a device announces."""

    sha256: str
    size_bytes: int


class Told(NamedTuple):
    """How a worker ended there."""

    returncode: int
    timed_out: bool
    overflowed: bool
    drawn: dict[str, str]
    stdout: Piece
    stderr: Piece
    files: dict[str, Piece]


def frame(line: bytes, where: str) -> dict[str, Any]:
    """One line as a JSON object.

    Raises:
        MachineError: if it is none.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise nonsense(where, line[:60], "a JSON object")
    return value


def nonsense(where: str, got: object, want: str) -> MachineError:
    """The device did not keep to the protocol."""
    return MachineError(f"{where}: said {escape_unprintable(repr(got))[:80]}, want {want}")


def ended(value: Mapping[str, Any], where: str, *, takes: bool) -> Told:
    """A worker's end as the device tells it.

    Raises:
        MachineError: if a field is missing, of another kind, or beyond its limit.
    """
    try:
        files = {_name(name): _piece(piece, FILES_BYTES) for name, piece in value["files"].items()}
        if len(files) > FILES or (files and not takes):
            raise ValueError("more files than can be")
        if sum(piece.size_bytes for piece in files.values()) > FILES_BYTES:
            raise ValueError("larger files than can be")
        return Told(
            _integer(value["returncode"], -255, 255),
            _flag(value["timed_out"]),
            _flag(value["overflowed"]),
            {str(name): str(text) for name, text in value["drawn"].items()},
            _piece(value["stdout"], STDOUT_BYTES),
            _piece(value["stderr"], STDERR_BYTES),
            files,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise nonsense(where, f"a result: {error}", "a result of the known shape") from error


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


def _piece(value: object, limit_bytes: int) -> Piece:
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], str):
        raise ValueError(f"{value!r:.40}, want a digest and a size")
    if not DIGEST.fullmatch(value[0]):
        raise ValueError(f"digest {value[0]!r:.70}")
    return Piece(value[0], _integer(value[1], 0, limit_bytes))


def clean(stdout: bytes, renamed: Mapping[str, str]) -> bytes:
    """What a worker wrote, line by line, with every text in it plain print.

    Args:
        stdout: JSON lines; what is none is taken as text.
        renamed: texts that stand for others, where they are a whole value.
    """
    return b"".join(_clean_line(line, renamed) + b"\n" for line in stdout.splitlines())


def _clean_line(line: bytes, renamed: Mapping[str, str]) -> bytes:
    try:
        return json.dumps(_plain(json.loads(line), renamed)).encode()
    except (ValueError, RecursionError):
        return escape_unprintable(line.decode(errors="replace")).encode()


def _plain(value: Any, renamed: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return renamed.get(value) or escape_unprintable(value)
    if isinstance(value, list):
        if value and isinstance(value[0], int | float):  # 100,000 times need no look at each
            return (
                value
                if all(isinstance(v, int | float) for v in value)
                else [_plain(v, renamed) for v in value]
            )
        return [_plain(v, renamed) for v in value]
    if isinstance(value, dict):
        return {escape_unprintable(name): _plain(v, renamed) for name, v in value.items()}
    return value


def printable_lines(stderr: bytes) -> bytes:
    """Text for people, line by line in plain print."""
    lines = stderr.decode(errors="replace").splitlines()
    return "\n".join(escape_unprintable(line) for line in lines).encode()

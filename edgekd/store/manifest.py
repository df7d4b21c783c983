"""What a stored result says of itself, and what of that is believed: a store may be somebody else's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.errors import InputError

FORMAT = "edgekd.store/2"
LIMIT_BYTES = 2**24
MOST = 2**63
"""No size and no duration reaches it."""
DIGEST = re.compile(r"[0-9a-f]{64}")
NAME = re.compile(
    r"[A-Za-z0-9_][A-Za-z0-9_.+=,@-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_.+=,@-]{0,99}){0,7}"
)
"""A plain relative path: no part is empty, hidden, ``.`` or ``..``; no character that means something elsewhere."""
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Blob(NamedTuple):
    """One file of a result."""

    sha256: str
    size_bytes: int


class CreationTime(NamedTuple):
    """The time at which a result was made, and its seconds; it counts in no key."""

    at: str
    """UTC, ``2026-11-28T21:18:05Z``."""
    took_s: float


class StoreEntry(NamedTuple):
    """One stage result: why it is what it is, and its files."""

    key: str
    inputs: dict[str, Any]
    """What was hashed into the key."""
    files: dict[str, Blob]
    made: CreationTime


def compute_key(inputs: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of what a result is made from."""
    return files.digest_bytes(files.canonical_json(inputs))


def make_manifest(entry: StoreEntry) -> bytes:
    """The manifest of a result.

    Raises:
        ValueError: if a file's name is not plain.
    """
    _require_plain(entry.files)
    content = {
        "format": FORMAT,
        "key": entry.key,
        "inputs": entry.inputs,
        "files": {name: blob._asdict() for name, blob in entry.files.items()},
        "made": entry.made._asdict(),
    }
    return files.canonical_json({**content, "sha256": _seal(content)})


def parse_manifest(path: Path) -> StoreEntry:
    """Parse a manifest.

    Raises:
        InputError: if it is no manifest, was changed after it was written, names a file by anything but
            a plain relative path, or stands under a key that is not the hash of its inputs.
    """
    value = files.read_json(path, limit_bytes=LIMIT_BYTES, follow=False)
    try:
        if value.pop("sha256") != _seal(value) or value["format"] != FORMAT:
            raise ValueError("is not what was written")
        blobs = {name: _blob(blob) for name, blob in value["files"].items()}
        _require_plain(blobs)
        inputs, key = dict(value["inputs"]), value["key"]
        if key != compute_key(inputs) or path.name != f"{key}.json":
            raise ValueError("its key is not the hash of its inputs")
        return StoreEntry(key, inputs, blobs, _made(value["made"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path.name}: is no manifest of a result: {error}") from error


def _seal(content: Mapping[str, Any]) -> str:
    return files.digest_bytes(files.canonical_json(content))


def _blob(value: Any) -> Blob:
    sha256, size_bytes = value["sha256"], value["size_bytes"]
    if not isinstance(sha256, str) or DIGEST.fullmatch(sha256) is None:
        raise ValueError("a file has no SHA-256")
    if type(size_bytes) is not int or not 0 <= size_bytes < MOST:
        raise ValueError("a file has no size")
    return Blob(sha256, size_bytes)


def _made(value: Any) -> CreationTime:
    at, took_s = value["at"], value["took_s"]
    if not isinstance(at, str) or TIME.fullmatch(at) is None:
        raise ValueError("it was made at no time")
    if type(took_s) not in (int, float) or not 0 <= took_s < MOST:
        raise ValueError("it took no time")
    return CreationTime(at, float(took_s))


def _require_plain(names: Mapping[str, Any]) -> None:
    """Raises ValueError unless all names are plain and none is the folder of another."""
    for name in names:
        if NAME.fullmatch(name) is None:
            raise ValueError(f"{name[:100]!r} is no plain relative name")
    folders = {str(parent) for name in names for parent in Path(name).parents}
    if folders & set(names):
        raise ValueError("a file's name is another's folder")

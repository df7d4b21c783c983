"""Digests of a source's files; those of large sets are remembered until a file changes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd import files
from edgekd.errors import InputError

MANY_FILES = 1000
MANY_BYTES = 10**9
"""Above either, hashing again would be felt, and `cache` is used."""


def digest_files(
    paths: Sequence[Path], cache: Path | None = None, *, renew: bool = True
) -> dict[str, str]:
    """File name, relative to the folder they share, to SHA-256.

    Args:
        paths: the files.
        cache: a JSON file of digests already known; used and renewed for large sets only. An
            entry holds while size, both times and inode are what they were.
        renew: whether `cache` may be written.

    Raises:
        InputError: if one is missing or no regular file.
    """
    if not paths:
        return {}
    base = os.path.commonpath([path.parent.absolute() for path in paths])
    names = [str(path.absolute().relative_to(base)) for path in paths]
    states = [_state(path) for path in paths]
    if cache is None or not (
        len(paths) > MANY_FILES or sum(state[0] for state in states) > MANY_BYTES
    ):
        return {name: files.digest_file(path) for name, path in zip(names, paths, strict=True)}
    known = _read(cache)
    fresh: dict[str, Any] = {}
    for path, state in zip(paths, states, strict=True):
        old = known.get(str(path.absolute()))
        fresh[str(path.absolute())] = (
            old if _holds(old, state) else [*state, files.digest_file(path)]
        )
    if renew and any(known.get(path) != entry for path, entry in fresh.items()):
        files.write_bytes(cache, files.canonical_json({**known, **fresh}))
    return {name: fresh[str(path.absolute())][-1] for name, path in zip(names, paths, strict=True)}


def _state(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _holds(entry: Any, state: list[int]) -> bool:
    return isinstance(entry, list) and entry[:-1] == state and isinstance(entry[-1], str)


def _read(cache: Path) -> dict[str, Any]:
    try:
        value = files.read_json(cache, limit_bytes=2**30, follow=False)
    except InputError:
        return {}
    return value if isinstance(value, dict) else {}

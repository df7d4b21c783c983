"""Digests of a source's files; those of large sets are remembered until a file changes."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.errors import InputError
from edgekd.progress import Progress
from edgekd.progress import Silent
from edgekd.units import bytes_text
from edgekd.units import number_text

MANY_FILES = 1000
MANY_BYTES = 10**9
"""Above either, hashing again would be felt, and `cache` is used."""
SETTLED_NS = 2 * 10**9
"""How long before it is looked at a file has to have changed last for its digest to be remembered: a change within the
clock's resolution of the file system (2 s on FAT) would leave its times as they were."""
_SAVE_EVERY_S, _SAVED_SHARE = 10.0, 20.0
"""Digests are saved on the way after so long, and after so many times what saving takes."""


class _FileState(NamedTuple):
    """What tells that a file is another one."""

    size_bytes: int
    modified_ns: int
    changed_ns: int
    inode: int


def digest_files(
    paths: Sequence[Path],
    cache: Path | None = None,
    *,
    renew: bool = True,
    progress: Progress | None = None,
) -> dict[str, str]:
    """File name, relative to the folder they share, to SHA-256.

    Args:
        paths: the files.
        cache: a JSON file of digests already known; used and renewed for large sets only. An
            entry holds while size, both times and inode are what they were.
        renew: whether `cache` may be written.
        progress: is shown how far hashing is, where `cache` is used.

    Raises:
        InputError: if one is missing or no regular file.
    """
    if not paths:
        return {}
    absolute = [str(path.absolute()) for path in paths]
    base = os.path.commonpath({path.rpartition(os.sep)[0] or os.sep for path in absolute})
    names = [path[len(base) :].lstrip(os.sep) for path in absolute]
    states = [_look_at(path) for path in paths]
    size_bytes = sum(state.size_bytes for state in states)
    if cache is None or not (len(paths) > MANY_FILES or size_bytes > MANY_BYTES):
        return {name: files.digest_file(path) for name, path in zip(names, paths, strict=True)}
    known = _read(cache)
    found = {
        path: known[path][-1]
        for path, state in zip(absolute, states, strict=True)
        if _holds(known.get(path), state)
    }
    missing = {p: s for p, s in zip(absolute, states, strict=True) if p not in found}
    if missing:
        found |= _hash(missing, known, cache if renew else None, progress or Silent())
    return {name: found[path] for name, path in zip(names, absolute, strict=True)}


def digest_once(path: Path) -> str:
    """SHA-256 of a file, which this process computes once as long as the file is the same: of weights each step asks.

    Raises:
        InputError: if it is missing or no regular file.
    """
    state = _look_at(path)
    if time.time_ns() - max(state.modified_ns, state.changed_ns) <= SETTLED_NS:
        return files.digest_file(path)
    return _digest_state(path.absolute(), state)


@functools.lru_cache(maxsize=256)
def _digest_state(path: Path, state: _FileState) -> str:
    return files.digest_file(path)


def fold_digests(digests: Mapping[str, str]) -> dict[str, str]:
    """The digests of at most `MANY_FILES` files; of more the one digest of all names and digests."""
    if len(digests) <= MANY_FILES:
        return dict(digests)
    return {f"{len(digests)} files": files.digest_bytes(files.canonical_json(digests))}


def _hash(
    states: Mapping[str, _FileState], known: dict[str, Any], cache: Path | None, progress: Progress
) -> dict[str, str]:
    """Digest by path; what may be remembered is put into `known`, and that now and then into `cache`, so that what is
    interrupted goes on where it was."""
    total_bytes = sum(state.size_bytes for state in states.values())
    text = f"{number_text(len(states), 'file')}, {bytes_text(total_bytes)}"
    found: dict[str, str] = {}
    done_bytes, unsaved, saved_s, saving_s = 0, 0, time.monotonic(), 0.0
    progress.stage("hashing")
    try:
        for path, state in states.items():
            now_ns = time.time_ns()
            found[path] = files.digest_file(Path(path))
            is_settled = now_ns - max(state.modified_ns, state.changed_ns) > SETTLED_NS
            if is_settled and _look_at(Path(path)) == state:
                known[path] = [*state, found[path]]
                unsaved += 1
            done_bytes += state.size_bytes
            progress.update(done_bytes, total_bytes, text)
            began_s = time.monotonic()
            if unsaved and began_s - saved_s > max(_SAVE_EVERY_S, _SAVED_SHARE * saving_s):
                _save(known, cache)
                saved_s, unsaved = time.monotonic(), 0
                saving_s = saved_s - began_s
    finally:
        if unsaved:
            _save(known, cache)
    progress.end()
    return found


def _save(known: Mapping[str, Any], cache: Path | None) -> None:
    if cache is not None:
        files.write_bytes(cache, files.canonical_json(known))


def _look_at(path: Path) -> _FileState:
    try:
        status = path.stat()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    return _FileState(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def _holds(entry: Any, state: _FileState) -> bool:
    return isinstance(entry, list) and entry[:-1] == [*state] and isinstance(entry[-1], str)


def _read(cache: Path) -> dict[str, Any]:
    try:
        value = files.read_json(cache, limit_bytes=2**30, follow=False)
    except InputError:
        return {}
    return value if isinstance(value, dict) else {}

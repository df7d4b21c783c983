"""Which large blobs were hashed and found whole: they are believed while size, both times and inode are what they were."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from edgekd import files
from edgekd.errors import InputError
from edgekd.store.manifest import Blob

LEAST_BYTES = 2**24
"""Of a blob: hashing a smaller one at every read is not felt."""
SETTLED_NS = 2 * 10**9
"""How long a blob has to have stood unchanged: a change within the clock's resolution would leave its times as they were."""
LIMIT_BYTES = 2**28


class BlobState(NamedTuple):
    """What tells that a file is another one, or was written."""

    size_bytes: int
    modified_ns: int
    changed_ns: int
    inode: int


def look_at(path: Path) -> BlobState:
    """The state of a file, not followed if it is a link.

    Raises:
        OSError: if there is none.
    """
    found = path.lstat()
    return BlobState(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def digest_blob(path: Path) -> str | None:
    """Return what the bytes of a blob really are; None if there is no file inside the store."""
    if _leads_out(path):
        return None
    try:
        return files.digest_file(path, follow=False)
    except InputError:
        return None


def _leads_out(path: Path) -> bool:
    return path.parent.is_symlink() or path.parent.parent.is_symlink()


class VerifiedBlobs:
    """The states in which blobs were found whole, by digest; shared by the runs on a store through one file.

    Args:
        path: that file; what it says counts only for a blob whose state it names.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._states: dict[str, list[int]] | None = None
        self._is_new = False

    def is_sound(self, path: Path, blob: Blob, *, anew: bool = False) -> bool:
        """Return whether a blob is what its name and its size say.

        Args:
            path: where it lies.
            blob: what is wanted.
            anew: whether it is hashed whatever is known of it.
        """
        try:
            state = look_at(path)
        except OSError:
            return False
        if state.size_bytes != blob.size_bytes or _leads_out(path):
            return False
        if not anew and self.holds(blob.sha256, state):
            return True
        sound = digest_blob(path) == blob.sha256
        if sound:
            self.remember(blob.sha256, state)
        return sound

    def holds(self, sha256: str, state: BlobState) -> bool:
        """Return whether that blob was found whole in that state."""
        if state.size_bytes < LEAST_BYTES:
            return False
        if self._states is None:
            self._states = self._read()
        return self._states.get(sha256) == [*state]

    def remember(self, sha256: str, state: BlobState) -> None:
        """Take note that a blob was found whole, if it is large and was not written just now."""
        changed_ns = max(state.modified_ns, state.changed_ns)
        if state.size_bytes >= LEAST_BYTES and time.time_ns() - changed_ns > SETTLED_NS:
            self._states = {**(self._states or self._read()), sha256: [*state]}
            self._is_new = True

    def save(self) -> None:
        """Write what is new for other runs, beside what those wrote.

        Raises:
            MachineError: if the disk refuses.
        """
        if self._is_new:
            self._states = self._read() | (self._states or {})
            files.write_bytes(self._path, files.canonical_json(self._states))
            self._is_new = False

    def _read(self) -> dict[str, list[int]]:
        try:
            value = files.read_json(self._path, limit_bytes=LIMIT_BYTES, follow=False)
        except InputError:
            return {}
        return value if isinstance(value, dict) else {}

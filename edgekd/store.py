"""Results kept by content: blobs by their SHA-256, stage results by the SHA-256 of what made them.

    cas/ab/<sha256>      blobs, never changed
    ac/<key>.json        one small manifest a stage result, written last: the result exists iff this
                         parses and every blob it names verifies
    work/<key>/          what a running stage keeps for its own resume (checkpoints)
    locks/<key>          flock; the kernel drops it when its holder dies
    quarantine/          what failed verification, for a look

See reference specification in ARCHITECTURE.md, "The store".
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import MachineError

FORMAT = "edgekd.store/1"


class Blob(NamedTuple):
    """One file of a result."""

    sha256: str
    size_bytes: int


class Entry(NamedTuple):
    """One stage result: why it is what it is, and its files."""

    key: str
    inputs: dict[str, Any]
    """What was hashed into the key."""
    files: dict[str, Blob]


class Store:
    """A folder of results; several processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self) -> Store:
        """Make the folders.

        Raises:
            MachineError: if the folder cannot be made or written.
        """
        for name in ("cas", "ac", "work", "locks", "quarantine"):
            files.make_folder(self.root / name)
        return self

    def sweep(self) -> None:
        """Remove what killed processes left half written, unless another run is at work here."""
        path = self.root / "locks" / "store"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if _held(descriptor, fcntl.LOCK_EX, path):
                for folder in (self.root, *self.root.glob("*/"), *self.root.glob("cas/*/")):
                    files.sweep_temporaries(folder)
        finally:
            os.close(descriptor)

    def blob_path(self, sha256: str) -> Path:
        """Where the blob lies, whether or not it exists."""
        return self.root / "cas" / sha256[:2] / sha256

    def work_folder(self, key: str) -> Path:
        """The stage's own folder, kept until its result is committed."""
        return files.make_folder(self.root / "work" / key)

    def put(self, path: Path) -> Blob:
        """Take a copy of a file into the store.

        Raises:
            MachineError: if the disk refuses.
        """
        blob = Blob(files.digest_file(path), path.stat().st_size)
        goal = self.blob_path(blob.sha256)
        if not self._sound(blob):
            files.write_through(
                goal, lambda temporary: shutil.copyfile(path, temporary), size_bytes=blob.size_bytes
            )
        return blob

    def commit(self, key: str, inputs: Mapping[str, Any], outputs: Mapping[str, Path]) -> Entry:
        """Keep a stage's outputs and, last, the manifest that makes them a result."""
        blobs = {name: self.put(path) for name, path in sorted(outputs.items())}
        manifest = {
            "format": FORMAT,
            "key": key,
            "inputs": dict(inputs),
            "files": {name: blob._asdict() for name, blob in blobs.items()},
        }
        files.write_bytes(self._manifest_path(key), files.canonical_json(manifest))
        files.remove(self.root / "work" / key)
        return Entry(key, dict(inputs), blobs)

    def peek(self, key: str) -> Entry | None:
        """The verified result under `key`, or None; changes nothing."""
        entry = self.read_manifest(self._manifest_path(key))
        sound = entry is not None and entry.key == key and not self._bad(entry)
        return entry if sound else None

    def lookup(self, key: str) -> Entry | None:
        """The verified result under `key`, or None. What is corrupt goes to quarantine.

        The caller holds the lock of `key`: else a result that is committed between the look and the
        removal would be taken for the corrupt one.
        """
        entry = self.peek(key)
        if entry is None:
            self._quarantine_result(self._manifest_path(key))
        return entry

    def entries(self) -> Iterator[Entry]:
        """All readable manifests, oldest first; blobs are not verified."""
        for path in sorted((self.root / "ac").glob("*.json"), key=lambda p: p.stat().st_mtime_ns):
            entry = self.read_manifest(path)
            if entry is not None:
                yield entry

    def read_manifest(self, path: Path) -> Entry | None:
        """A manifest's content, or None if it is not one."""
        try:
            with files.open_regular(path) as file:
                value = json.loads(file.read(2**24))
            if value["format"] != FORMAT:
                return None
            blobs = {
                str(name): Blob(_checked_digest(blob["sha256"]), int(blob["size_bytes"]))
                for name, blob in value["files"].items()
            }
            return Entry(_checked_digest(value["key"]), dict(value["inputs"]), blobs)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError):
            return None

    @contextmanager
    def lock(
        self,
        key: str,
        *,
        shared: bool = False,
        wait: bool = True,
        waiting: Callable[[str], None] | None = None,
    ) -> Iterator[None]:
        """Hold `key`, alone or with others that share it; who does not fit waits.

        Args:
            key: what to hold.
            shared: whether others may hold it too, if they share as well.
            wait: whether to wait for another holder.
            waiting: called once with the holder's text before waiting.

        Raises:
            MachineError: if it is held and `wait` is false, or locks do not work here.
        """
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        path = self.root / "locks" / key
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise MachineError(f"{path}: cannot be locked: {error.strerror}") from error
        try:
            if not _held(descriptor, kind, path):
                holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip()
                if not wait:
                    raise MachineError(
                        f"{self.root}: is used by another run ({holder})",
                        hint="wait for it, or give another --store",
                    )
                if waiting is not None:
                    waiting(holder)
                fcntl.flock(descriptor, kind)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()}".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def verify(self) -> list[str]:
        """One line for each manifest or blob that does not verify; nothing is changed."""
        faults = []
        for path in sorted((self.root / "ac").glob("*")):
            entry = self.read_manifest(path)
            if entry is None:
                faults.append(f"{path.name}: is no manifest")
                continue
            for name, blob in entry.files.items():
                if not self._sound(blob):
                    faults.append(f"{entry.key[:12]} {name}: its blob is missing or changed")
        return faults

    def collect_garbage(self, keep: set[str]) -> tuple[int, int]:
        """Remove results whose key is not in `keep` and blobs no manifest names.

        Returns:
            How many files went, and their bytes.

        Raises:
            MachineError: if a run is using the store.
        """
        with self.lock("store", wait=False):
            return self._collect(keep)

    def _collect(self, keep: set[str]) -> tuple[int, int]:
        for entry in list(self.entries()):
            if entry.key not in keep:
                files.remove(self._manifest_path(entry.key))
        named = {blob.sha256 for entry in self.entries() for blob in entry.files.values()}
        removed = freed_bytes = 0
        doomed = [p for p in self.root.glob("cas/*/*") if p.name not in named]
        doomed += self.root.glob("quarantine/*")
        for path in doomed:
            freed_bytes += path.lstat().st_size
            removed += 1
            files.remove(path)
        for folder in self.root.glob("work/*"):
            files.remove(folder)
        return removed, freed_bytes

    def _manifest_path(self, key: str) -> Path:
        return self.root / "ac" / f"{key}.json"

    def _bad(self, entry: Entry) -> list[Blob]:
        return [blob for blob in entry.files.values() if not self._sound(blob)]

    def _quarantine_result(self, path: Path) -> None:
        entry = self.read_manifest(path)
        self._quarantine(path)
        for blob in self._bad(entry) if entry is not None else ():
            self._quarantine(self.blob_path(blob.sha256))

    def _sound(self, blob: Blob) -> bool:
        path = self.blob_path(blob.sha256)
        try:
            status = path.lstat()
            return status.st_size == blob.size_bytes and files.digest_file(path) == blob.sha256
        except (OSError, InputError):
            return False

    def _quarantine(self, path: Path) -> None:
        if path.exists() or path.is_symlink():
            goal = self.root / "quarantine" / path.name
            if goal.exists() or goal.is_symlink():
                files.remove(goal)
            path.rename(goal)


def _held(descriptor: int, kind: int, path: Path) -> bool:
    """Take the lock if that needs no waiting."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise MachineError(f"{path}: locks do not work here: {error.strerror}") from error
    return True


def _checked_digest(text: Any) -> str:
    if not isinstance(text, str) or len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise ValueError("want a SHA-256")
    return text

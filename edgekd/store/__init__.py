"""Results kept by content: blobs by their SHA-256, stage results by the SHA-256 of what made them.

    edgekd-store.json    says that the folder is a store
    cas/ab/<sha256>      blobs, never changed
    ac/<key>.json        one small manifest a stage result, written last: the result exists iff this
                         parses, its key is the hash of its inputs and every blob it names verifies
    verified.json        in which state large blobs were found whole
    work/<key>/          what a running stage keeps for its own resume (checkpoints)
    locks/<key>          flock; the kernel drops it when its holder dies; ``<sha256>.blob`` of a blob
    quarantine/          what failed verification, for a look

See ARCHITECTURE.md, "The store".
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.store import garbage
from edgekd.store import linking
from edgekd.store import locking
from edgekd.store import manifest
from edgekd.store.garbage import Garbage
from edgekd.store.manifest import Blob
from edgekd.store.manifest import CreationTime
from edgekd.store.manifest import StoreEntry
from edgekd.store.manifest import compute_key
from edgekd.store.verification import VerifiedBlobs
from edgekd.store.verification import digest_blob

__all__ = ["MARKER", "Blob", "StoreEntry", "Garbage", "CreationTime", "Store", "compute_key"]

MARKER = "edgekd-store.json"
VERIFIED = "verified.json"
BLOB = ".blob"
"""Ending of a blob's lock: a key and a blob may have the same digest, if somebody wants that."""
FOLDERS = ("cas", "ac", "work", "locks", "quarantine")


class Store:
    """A folder of results; several processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._verified = VerifiedBlobs(root / VERIFIED)

    def open(self) -> Store:
        """Make the folders.

        Raises:
            InputError: if the folder is somebody else's: it has no marker and is not empty.
            MachineError: if the folder cannot be made or written.
        """
        try:
            files.make_folder(self.root)
        except MachineError as error:
            hint = "give another --store; knowledge build --from reads answers in this one"
            raise MachineError(str(error), hint=hint) from error
        self.require_store()
        if not self.is_made():
            self._mark()
        for name in FOLDERS:
            self._own_folder(self.root / name)
        return self

    def _mark(self) -> None:
        """Write the marker, unless another process does so at the same time and sweeps ours away."""
        try:
            files.write_bytes(self.root / MARKER, files.canonical_json({"format": manifest.FORMAT}))
        except MachineError:
            if not self.is_made():
                raise

    def is_made(self) -> bool:
        """Return whether the folder is a store already."""
        return (self.root / MARKER).is_file()

    def require_store(self) -> None:
        """Raises InputError if the folder is neither a store nor empty nor missing."""
        marker = self.root / MARKER
        # listed first: what another process makes of an empty folder meanwhile begins with the marker
        inside = list(self.root.iterdir()) if self.root.is_dir() else []
        if marker.is_file() and not marker.is_symlink():
            value = files.read_json(marker, limit_bytes=2**12)
            if value != {"format": manifest.FORMAT}:
                raise InputError(
                    f"{self.root}: got a store of another version of edgekd, want {manifest.FORMAT}",
                    hint="give another --store",
                )
            return
        strangers = [path.name for path in inside if not files.is_temporary(path)]
        if strangers:
            raise InputError(
                f"{self.root}: got a folder with {sorted(strangers)[0]!r} in it and without {MARKER}, "
                "want a store or an empty folder",
                hint="give another --store; one of an earlier edgekd can be removed, nothing in it fits",
            )

    def sweep(self) -> None:
        """Remove what killed processes left half written, unless another run is at work here."""
        with locking.try_exclusive_lock(self.root / "locks" / "store") as alone:
            if alone:
                for folder in (self.root, *self.root.glob("*/"), *self.root.glob("cas/*/")):
                    if not folder.is_symlink():
                        files.sweep_temporaries(folder)

    def blob_path(self, sha256: str) -> Path:
        """Return where the blob lies, whether or not it exists."""
        return self.root / "cas" / sha256[:2] / sha256

    def work_folder(self, key: str) -> Path:
        """The stage's own folder, kept until its result is committed."""
        return self._own_folder(self.root / "work" / key)

    def put(self, path: Path) -> Blob:
        """Take a file into the store: a copy, or what a stage made in its own folder there itself.

        Raises:
            MachineError: if the disk refuses.
        """
        blob = Blob(files.digest_file(path), path.stat().st_size)
        goal = self.blob_path(blob.sha256)
        with self._blob_lock(blob.sha256):
            if not self._sound(blob):
                self._own_folder(goal.parent)
                if goal.is_dir():
                    self._quarantine(goal)
                linking.put_file(path, goal, self.root / "work", blob.size_bytes)
        return blob

    def commit(
        self, inputs: Mapping[str, Any], outputs: Mapping[str, Path], made: CreationTime
    ) -> StoreEntry:
        """Keep a stage's outputs and, last, the manifest that makes them a result.

        Args:
            inputs: what the result is made from; their hash is the key.
            outputs: its files by plain relative name.
            made: when it was made.

        Raises:
            MachineError: if the disk refuses.
            ValueError: if a name is not plain.
        """
        blobs = {name: self.put(path) for name, path in sorted(outputs.items())}
        entry = StoreEntry(compute_key(inputs), dict(inputs), blobs, made)
        files.write_bytes(self._manifest_path(entry.key), manifest.make_manifest(entry))
        files.remove(self.root / "work" / entry.key)
        return entry

    def peek(self, key: str, wanted: Collection[str] = ()) -> StoreEntry | None:
        """The verified result under `key`, or None; changes nothing.

        Args:
            key: what it is stored under.
            wanted: files it must have.
        """
        entry = self.read_manifest(self._manifest_path(key))
        sound = entry is not None and set(wanted) <= set(entry.files) and not self._bad(entry)
        return entry if sound else None

    def lookup(self, key: str, wanted: Collection[str] = ()) -> StoreEntry | None:
        """The verified result under `key`, or None. What is corrupt goes to quarantine.

        The caller holds the lock of `key`: else a result that is committed between the look and the
        removal would be taken for the corrupt one.
        """
        if (entry := self.peek(key, wanted)) is None:
            self.quarantine(key)
        return entry

    def find_remains(self, key: str) -> dict[str, Path]:
        """The files under `key` that verify, by name, if some do not; nothing of a result that is whole or not there."""
        entry = self.read_manifest(self._manifest_path(key))
        lost = [] if entry is None else self._bad(entry)
        if entry is None or not lost:
            return {}
        return {n: self.blob_path(b.sha256) for n, b in entry.files.items() if b not in lost}

    def quarantine(self, key: str) -> None:
        """Put the result under `key` aside, and those of its blobs that are not what their name says."""
        entry = self.read_manifest(self._manifest_path(key))
        self._quarantine(self._manifest_path(key))
        for sha256 in {blob.sha256 for blob in entry.files.values()} if entry is not None else ():
            with self._blob_lock(sha256):  # else a sound one that was just put there could go
                if digest_blob(self.blob_path(sha256)) != sha256:
                    self._quarantine(self.blob_path(sha256))

    def entries(self) -> Iterator[StoreEntry]:
        """All readable manifests, oldest first; blobs are not verified."""
        for path in sorted(garbage.list_folder(self.root / "ac"), key=_written_ns):
            entry = self.read_manifest(path)
            if entry is not None:
                yield entry

    def read_manifest(self, path: Path) -> StoreEntry | None:
        """A manifest's content, or None if it is not one."""
        try:
            return None if path.parent.is_symlink() else manifest.parse_manifest(path)
        except InputError:
            return None

    def lock(
        self,
        key: str,
        *,
        shared: bool = False,
        wait: bool = True,
        waiting: Callable[[str], None] | None = None,
    ) -> AbstractContextManager[None]:
        """Hold `key`, as `locking.hold_lock` does."""
        return locking.hold_lock(
            self.root / "locks" / key,
            shared=shared,
            wait=wait,
            waiting=waiting,
            hint="wait for it, or give another --store",
        )

    def _blob_lock(self, sha256: str) -> AbstractContextManager[None]:
        """Held while a blob is looked at to be replaced; who holds it takes no other lock."""
        return self.lock(f"{sha256}{BLOB}")

    def verify(self) -> list[str]:
        """One line for each manifest or blob that does not verify, all hashed anew; nothing is changed."""
        faults = []
        for path in sorted(garbage.list_folder(self.root / "ac")):
            try:
                entry = manifest.parse_manifest(path)
            except InputError as error:
                faults.append(str(error))
                continue
            for name, blob in entry.files.items():
                if not self._sound(blob, anew=True):
                    faults.append(f"{entry.key[:12]} {name}: its blob is missing or changed")
        return faults

    def save_verified(self) -> None:
        """Let later runs know which large blobs were found whole."""
        self._verified.save()

    def garbage(self, keep: Collection[str]) -> Garbage:
        """Return what goes if only the results in `keep` stay."""
        return garbage.find_garbage(self.root, keep)

    def collect_garbage(self, keep: Collection[str]) -> Garbage:
        """Remove what `garbage` names, manifests first.

        Raises:
            MachineError: if a run is using the store.
        """
        with self.lock("store", wait=False):
            found = self.garbage(keep)
            for path in found.paths():
                files.remove(path)
            for suffix in ("", BLOB):  # they are held under the store's only
                for path in garbage.list_by_digest(self.root / "locks", suffix):
                    files.remove(path)
            return found

    def _manifest_path(self, key: str) -> Path:
        return self.root / "ac" / f"{key}.json"

    def _bad(self, entry: StoreEntry) -> list[Blob]:
        return [blob for blob in entry.files.values() if not self._sound(blob)]

    def _sound(self, blob: Blob, *, anew: bool = False) -> bool:
        return self._verified.is_sound(self.blob_path(blob.sha256), blob, anew=anew)

    def _quarantine(self, path: Path) -> None:
        if path.exists() or path.is_symlink():
            goal = self.root / "quarantine" / path.name
            if goal.exists() or goal.is_symlink():
                files.remove(goal)
            with suppress(FileNotFoundError):  # another process, by another result, was faster
                path.rename(goal)

    def _own_folder(self, path: Path) -> Path:
        """`path` as a folder inside the store: what would lead out of it, or is no folder, goes."""
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            files.remove(path)
        return files.make_folder(path)


def _written_ns(path: Path) -> int:
    """Return when a file was written; 0 of one that another run removed since it was listed."""
    try:
        return path.lstat().st_mtime_ns
    except FileNotFoundError:
        return 0

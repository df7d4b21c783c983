"""What lies in a store and is wanted by no result; what is not a store's is never in it."""

from __future__ import annotations

import os
from collections.abc import Collection
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edgekd.errors import InputError
from edgekd.store import manifest


class Garbage(NamedTuple):
    """The files and folders that a collection removes."""

    manifests: list[Path]
    blobs: list[Path]
    checkpoints: list[Path]
    """Folders of steps that did not end."""
    quarantined: list[Path]
    size_bytes: int

    def paths(self) -> Iterator[Path]:
        """All of it, manifests first: what they name is gone only after them."""
        yield from (*self.manifests, *self.blobs, *self.checkpoints, *self.quarantined)


def find_garbage(root: Path, keep: Collection[str]) -> Garbage:
    """Return what goes if only the results whose keys are in `keep`, and what steps of these keys left for
    themselves, stay in the store at `root`."""
    manifests, wanted = [], set()
    for path in list_by_digest(root / "ac", ".json"):
        try:
            entry = manifest.parse_manifest(path)
        except InputError:
            manifests.append(path)
            continue
        if entry.key in keep:
            wanted |= {blob.sha256 for blob in entry.files.values()}
        else:
            manifests.append(path)
    blobs = [
        path
        for folder in list_folder(root / "cas")
        for path in list_by_digest(folder)
        if path.name not in wanted and path.name.startswith(folder.name)
    ]
    aside = root / "quarantine"
    checkpoints = [path for path in list_by_digest(root / "work") if path.name not in keep]
    quarantined = [*list_by_digest(aside), *list_by_digest(aside, ".json")]
    size_bytes = sum(map(_size, (*manifests, *blobs, *checkpoints, *quarantined)))
    return Garbage(manifests, blobs, checkpoints, quarantined, size_bytes)


def list_folder(folder: Path) -> list[Path]:
    """List what lies directly in a folder; empty unless it is a folder and not a link."""
    return sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []


def list_by_digest(folder: Path, suffix: str = "") -> list[Path]:
    """Return what lies in a folder under the name of a SHA-256."""
    named = [path for path in list_folder(folder) if path.name.endswith(suffix)]
    return [p for p in named if manifest.DIGEST.fullmatch(p.name.removesuffix(suffix))]


def _size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder; what another run removes meanwhile takes none."""
    if path.is_symlink() or not path.is_dir():
        return _file_size(path)
    walked = os.walk(path)
    return sum(_file_size(Path(folder, name)) for folder, _, names in walked for name in names)


def _file_size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0

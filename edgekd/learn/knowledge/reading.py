"""Stored answers, read back a batch at a time from memory maps."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn.knowledge import layout
from edgekd.learn.knowledge.layout import KnowledgeManifest
from edgekd.learn.knowledge.layout import StoreLayout
from edgekd.learn.knowledge_settings import MANIFEST

if TYPE_CHECKING:
    from numpy.typing import NDArray


class KnowledgeReader:
    """Answers by view and sample; the shards of one view are mapped at a time.

    Args:
        place: what is stored.
        shards: the file of each shard.

    Raises:
        InputError: if a shard is missing or has another size.
    """

    def __init__(self, place: StoreLayout, shards: list[Path]) -> None:
        self.layout, self._shards = place, shards
        self._view = -1
        self._maps: list[NDArray[np.uint8]] = []
        for number, path in enumerate(shards):
            _, start, stop = place.locate_shard(number)
            require_size(path, (stop - start) * place.row_bytes)

    def read(
        self, view: int, indices: NDArray[np.int64], *, layers: bool = False
    ) -> tuple[NDArray[np.float32], ...]:
        """The teacher's outputs [B, ...] to samples `indices` [B] through view number `view`; its layers after them
        where they are wanted.

        Raises:
            IndexError: if there is no such view or sample.
            InputError: if what is stored is no answer.
        """
        rows = self.read_rows(view, indices)
        try:
            return self.layout.code.decode(rows, layers=layers)
        except ValueError as error:
            raise InputError(f"stored answers to view {view}: {error}") from error

    def read_rows(self, view: int, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The same as rows [B, bytes], as they are stored."""
        if view != self._view:
            self._maps, self._view = list(self._open_view(view)), view
        if len(indices) and indices.min() < 0:  # what is beyond the end numpy refuses itself
            raise IndexError(f"got sample {indices.min()}, want 0 to {self.layout.samples - 1}")
        if len(self._maps) == 1:
            return np.take(self._maps[0], indices, axis=0)
        rows = np.empty((len(indices), self.layout.row_bytes), np.uint8)
        pieces, within = np.divmod(indices, self.layout.shard_rows)
        for piece in np.unique(pieces):
            chosen = pieces == piece
            rows[chosen] = self._maps[piece][within[chosen]]
        return rows

    def _open_view(self, view: int) -> Iterator[NDArray[np.uint8]]:
        if not 0 <= view < self.layout.views:
            raise IndexError(f"got view {view}, want 0 to {self.layout.views - 1}")
        first = view * self.layout.shards_a_view
        for number in range(first, first + self.layout.shards_a_view):
            path = self._shards[number]
            yield np.memmap(path, np.uint8, "r").reshape(-1, self.layout.row_bytes)


def require_size(path: Path, size_bytes: int) -> None:
    """Raises InputError if a shard is no regular file of that size."""
    with files.open_regular(path) as file:
        found = file.seek(0, 2)
    if found != size_bytes:
        raise InputError(f"{path}: got {found} bytes, want {size_bytes} of a shard of answers")


def open_shards(given: Mapping[str, Path], name: str) -> tuple[KnowledgeManifest, KnowledgeReader]:
    """Open the store whose files are ``NAME/knowledge.json`` and its shards among a stage's inputs.

    Raises:
        InputError: if they are none.
    """
    manifest = layout.read_manifest(given[f"{name}/{MANIFEST}"])
    shards = [f"{name}/{layout.shard_name(number)}" for number in range(manifest.layout.shards)]
    missing = next((shard for shard in shards if shard not in given), None)
    if missing is not None:
        raise InputError(f"{missing}: is missing, want every shard that {MANIFEST} names")
    return manifest, KnowledgeReader(manifest.layout, [given[shard] for shard in shards])


def open_folder(folder: Path) -> tuple[KnowledgeManifest, KnowledgeReader]:
    """Open a store in a folder; its shards are checked for their size alone, see `find_broken_shards`.

    Raises:
        InputError: if there is none.
    """
    manifest = layout.read_manifest(folder / MANIFEST)
    shards = [folder / layout.shard_name(number) for number in range(manifest.layout.shards)]
    return manifest, KnowledgeReader(manifest.layout, shards)


def find_broken_shards(folder: Path, manifest: KnowledgeManifest) -> list[str]:
    """Names of the shards in a folder that are missing or not what the manifest says."""
    broken = []
    for number, digest in enumerate(manifest.digests):
        path = folder / layout.shard_name(number)
        try:
            found = files.digest_file(path)
        except InputError:
            found = ""
        if found != digest:
            broken.append(path.name)
    return broken

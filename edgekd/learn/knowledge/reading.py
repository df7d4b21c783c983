"""Stored answers, read back a batch at a time from memory maps."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import NamedTuple

import numpy as np

from edgekd import files
from edgekd.errors import InputError
from edgekd.field import sum_lengths
from edgekd.learn.knowledge import layout
from edgekd.learn.knowledge.layout import LENGTH
from edgekd.learn.knowledge.layout import KnowledgeManifest
from edgekd.learn.knowledge.layout import StoreLayout
from edgekd.learn.knowledge.rows import CutLogits
from edgekd.learn.knowledge_settings import MANIFEST

if TYPE_CHECKING:
    from numpy.typing import NDArray


class PlaceAnswers(NamedTuple):
    """Answers to every place of some samples, one sample behind the other."""

    lengths: NDArray[np.int64]
    """[B], places of each sample."""
    logits: CutLogits | NDArray[np.float32]
    """Of all places, [P, V]; the likeliest of them where only those are stored."""


class _Shard(NamedTuple):
    rows: NDArray[np.uint8]
    """[rows, bytes], mapped."""
    offsets: NDArray[np.int64] | None
    """[samples + 1], where the rows of each sample begin; None where each has one."""


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
        self._maps: list[_Shard] = []
        for number, path in enumerate(shards):
            require_size(path, place.shard_bytes(number))

    def read(
        self, view: int, indices: NDArray[np.int64], *, layers: bool = False
    ) -> tuple[NDArray[np.float32], ...]:
        """The teacher's outputs [B, ...] to samples `indices` [B] through view number `view`; its layers after them
        where they are wanted. Of a store with a row for every place: see `read_places`.

        Raises:
            IndexError: if there is no such view or sample.
            InputError: if what is stored is no answer.
        """
        rows = self.read_rows(view, indices)
        try:
            return self.layout.code.decode(rows, layers=layers)
        except ValueError as error:
            raise InputError(f"stored answers to view {view}: {error}") from error

    def read_places(self, view: int, indices: NDArray[np.int64]) -> PlaceAnswers:
        """The teacher's logits for every place of samples `indices` [B] through view number `view`.

        Raises:
            IndexError, InputError: as `read`.
        """
        rows, code = self.read_rows(view, indices), self.layout.code
        lengths = self._lengths(view, indices)
        try:
            logits = code.decode_cut(rows) if code.classes else code.decode(rows)[0]
        except ValueError as error:
            raise InputError(f"stored answers to view {view}: {error}") from error
        return PlaceAnswers(lengths, logits)

    def read_rows(self, view: int, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The same as rows [rows, bytes], as they are stored: one a sample, or one a place, sample after sample."""
        self._require_view(view)
        if len(indices) and indices.min() < 0:  # what is beyond the end numpy refuses itself
            raise IndexError(f"got sample {indices.min()}, want 0 to {self.layout.samples - 1}")
        if self.layout.places:
            return np.concatenate([self._places_of(int(number)) for number in indices])
        if len(self._maps) == 1:
            return np.take(self._maps[0].rows, indices, axis=0)
        rows = np.empty((len(indices), self.layout.row_bytes), np.uint8)
        pieces, within = np.divmod(indices, self.layout.shard_rows)
        for piece in np.unique(pieces):
            chosen = pieces == piece
            rows[chosen] = self._maps[piece].rows[within[chosen]]
        return rows

    def _places_of(self, sample: int) -> NDArray[np.uint8]:
        piece, within = divmod(sample, self.layout.shard_rows)
        rows, offsets = self._maps[piece]
        assert offsets is not None
        start, stop = offsets[within], offsets[within + 1]
        return rows[start:stop]

    def _lengths(self, view: int, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        self._require_view(view)
        found = []
        for piece, within in zip(*np.divmod(indices, self.layout.shard_rows), strict=True):
            offsets = self._maps[piece].offsets
            assert offsets is not None
            found.append(offsets[within + 1] - offsets[within])
        return np.array(found, np.int64)

    def _require_view(self, view: int) -> None:
        """Map the shards of a view."""
        if view != self._view:
            self._maps, self._view = list(self._open_view(view)), view

    def _open_view(self, view: int) -> Iterator[_Shard]:
        if not 0 <= view < self.layout.views:
            raise IndexError(f"got view {view}, want 0 to {self.layout.views - 1}")
        first = view * self.layout.shards_a_view
        for number in range(first, first + self.layout.shards_a_view):
            yield self._open_shard(number)

    def _open_shard(self, number: int) -> _Shard:
        data = np.memmap(self._shards[number], np.uint8, "r")
        if not self.layout.places:
            return _Shard(data.reshape(-1, self.layout.row_bytes), None)
        _, start, stop = self.layout.locate_shard(number)
        head_bytes = (stop - start) * LENGTH.itemsize
        offsets = sum_lengths(data[:head_bytes].view(LENGTH).astype(np.int64))
        rows = data[head_bytes:].reshape(-1, self.layout.row_bytes)
        if offsets[-1] != len(rows) or np.diff(offsets).min(initial=1) < 1:
            got = f"{offsets[-1]} places of {stop - start} samples"
            raise InputError(
                f"{self._shards[number]}: got {got}, want {len(rows)}, one each at least"
            )
        return _Shard(rows, offsets)


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

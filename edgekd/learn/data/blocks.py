"""Documents as one stream of tokens, and blocks of it, each beside what follows it."""

from __future__ import annotations

from typing import Any
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.field import RaggedRows
from edgekd.field import sum_lengths
from edgekd.learn.data.encoding import EncodedDocument
from edgekd.learn.formats.disk_array import DiskArray
from edgekd.learn.source import SPLITS

Parts = NDArray[np.int64]
"""Where documents, or what a split has of them, begin and end in a stream, [D, 2]."""
_ROWS = 2**12
"""Blocks whose tokens are gathered at once."""


class Blocks(NamedTuple):
    """Some tokens of a text each, one behind the other."""

    tokens: RaggedRows
    """int32."""
    following: RaggedRows
    """int32, the token after each; a view of the same stream where blocks are packed."""
    sizes: NDArray[np.int64]
    """[N], bytes of UTF-8 of all that follows."""


class Ranges(NamedTuple):
    """Where the blocks of a stream begin and end; what follows them reaches one token further."""

    starts: NDArray[np.int64]
    """[N], ascending."""
    stops: NDArray[np.int64]
    """[N], each behind its start."""


class TokenStream:
    """Documents one behind the other with a separator between two; six bytes a token, on the disk.

    Args:
        separator: what stands between two documents; may be no token.
    """

    def __init__(self, separator: EncodedDocument) -> None:
        self._separator = separator
        self._tokens, self._sizes = DiskArray(np.int32), DiskArray(np.uint16)
        self._parts = DiskArray(np.int64)
        self._wide: dict[int, int] = {}

    @property
    def parts(self) -> Parts:
        """Of all documents."""
        return self._parts.view().reshape(-1, 2)

    @property
    def tokens(self) -> NDArray[np.int32]:
        """All of them, separators included."""
        return self._tokens.view()

    def append(self, document: EncodedDocument) -> None:
        """Add a document; one without a token is none between two separators."""
        self.append_run(*document, np.array([[0, len(document.tokens)]]))

    def append_run(self, tokens: NDArray[Any], sizes: NDArray[Any], parts: Parts) -> None:
        """Add documents that have what stands between them already.

        Args:
            tokens: [T].
            sizes: [T], bytes of each.
            parts: where the documents begin and end in them.
        """
        if len(self._parts):
            self._extend(*self._separator)
        self._parts.extend((parts + len(self._tokens)).ravel())
        self._extend(tokens, sizes)

    def _extend(self, tokens: NDArray[Any], sizes: NDArray[Any]) -> None:
        if sizes.dtype.itemsize > 1:
            for at in np.flatnonzero(sizes >> 16).tolist():  # a token of 64 KiB and more
                self._wide[len(self._tokens) + at] = int(sizes[at]) & ~0xFFFF
        self._tokens.extend(tokens)
        self._sizes.extend(sizes)

    def pack(self, parts: Parts, length: int) -> Blocks:
        """The blocks of `find_packed`."""
        return self.make_blocks(find_packed(parts, length))

    def cut(self, parts: Parts, length: int) -> Blocks:
        """The blocks of `find_cut`."""
        return self.make_blocks(find_cut(parts, length))

    def take(self, parts: Parts, length: int, *, packed: bool) -> RaggedRows:
        """Blocks of the tokens alone, int32.

        Args:
            parts: neighbouring ones.
            length: tokens of a block.
            packed: whether all are of that length, what stands between the parts included and what is left over at the end
                left out; else blocks are of one part each, at most so long, and hold every token of theirs.
        """
        if not packed:
            return self.read(*_cut_parts(parts, length))
        start, stop = (parts[0, 0], parts[-1, 1]) if len(parts) else (0, 0)
        borders = start + np.arange((stop - start) // length + 1) * length
        return self.read(borders[:-1], borders[1:])

    def make_blocks(self, ranges: Ranges) -> Blocks:
        """Blocks, each beside what follows."""
        starts, stops = ranges
        sizes = self.sum_sizes(starts + 1, stops + 1)
        return Blocks(self.read(starts, stops), self.read(starts + 1, stops + 1), sizes)

    def read(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> RaggedRows:
        """Tokens from start to stop, int32: a view of the stream where each begins as the one before ends, else on the disk
        once more."""
        tokens = self.tokens
        offsets = sum_lengths(stops - starts)
        if np.array_equal(starts[1:], stops[:-1]):
            first = int(starts[0]) if len(starts) else 0
            return RaggedRows(tokens[first : first + offsets[-1]], offsets)
        gathered = DiskArray(np.int32)
        for at in range(0, len(starts), _ROWS):
            some = sum_lengths(stops[at : at + _ROWS] - starts[at : at + _ROWS])
            gathered.extend(tokens[_spell_out(starts[at : at + _ROWS], some)])
        return RaggedRows(gathered.view(), offsets)

    def count_read_bytes(self) -> NDArray[np.int64]:
        """How much has been read behind each token, [T]: the bytes of all documents up to it, and one for each document that
        began before. What stands between two documents stands at the beginning of the second."""
        sizes = self._sizes.view().astype(np.int64)
        for at, more in self._wide.items():
            sizes[at] += more
        begins, ends = self.parts.T
        for start, stop in zip(ends[:-1], begins[1:], strict=True):
            sizes[start:stop] = 0
        begun = np.searchsorted(ends, np.arange(len(sizes)), side="right")
        return np.asarray(np.cumsum(sizes) + begun)

    def sum_sizes(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.int64]:
        """Bytes of the tokens of each block, [N]; the starts ascend, no block is empty."""
        if not len(starts):
            return np.zeros(0, np.int64)
        found, sizes = np.zeros(len(starts), np.int64), self._sizes.view()
        for at in range(0, len(starts), _ROWS):
            first = starts[at]
            borders = np.stack([starts[at : at + _ROWS], stops[at : at + _ROWS]], axis=1).ravel()
            some = sizes[first : borders[-1]]
            sums = np.add.reduceat(some, borders[:-1] - first, dtype=np.int64)
            found[at : at + _ROWS] = sums[::2]
        for at, more in self._wide.items():
            number = int(np.searchsorted(starts, at, side="right")) - 1
            if number >= 0 and at < stops[number]:
                found[number] += more
        return found


class SplitShares(NamedTuple):
    """Shares of all tokens that are kept, together below 1."""

    validation: float
    """For choices."""
    test: float
    """For the report."""


class Corpus(NamedTuple):
    """Documents as tokens."""

    stream: TokenStream
    parts: dict[str, Parts]
    """Which of it are of which split."""
    documents: int
    """How many there are, however many pieces borders of splits cut."""
    beside: TokenStream | None = None
    """The same documents in other tokens, if that was asked."""


def divide_parts(parts: Parts, validation: float, test: float) -> dict[str, Parts]:
    """Share documents out as they stand: first training, then validation, then test; the two at a border are cut there.

    Args:
        parts: of the documents.
        validation: share of all their tokens.
        test: share of them.
    """
    lasts = np.cumsum(parts[:, 1] - parts[:, 0])
    firsts = lasts - (parts[:, 1] - parts[:, 0])
    total = int(lasts[-1]) if len(lasts) else 0
    borders = [0, round(total * (1 - validation - test)), round(total * (1 - test)), total]
    found = {}
    for name, low, high in zip(SPLITS, borders[:-1], borders[1:], strict=True):
        inside = (lasts > low) & (firsts < high)
        starts = parts[inside, 0] + np.maximum(low - firsts[inside], 0)
        stops = parts[inside, 1] - np.maximum(lasts[inside] - high, 0)
        found[name] = np.stack([starts, stops], axis=1) if low < high else parts[:0]
    return found


def find_packed(parts: Parts, length: int) -> Ranges:
    """Blocks of `length` tokens of neighbouring parts and what stands between them; what is left over at the end is left
    out."""
    start, stop = (parts[0, 0], parts[-1, 1]) if len(parts) else (0, 0)
    borders = start + np.arange(max(0, (stop - start - 1) // length) + 1) * length
    return Ranges(borders[:-1], borders[1:])


def find_cut(parts: Parts, length: int) -> Ranges:
    """Blocks of at most `length` tokens of one part each: every token but a part's first follows once."""
    return _cut_parts(parts - np.array([0, 1]), length)


def _cut_parts(parts: Parts, length: int) -> Ranges:
    """Ranges of at most `length` tokens that are all of one part."""
    begins, ends = parts.T
    counts = np.maximum(0, -(-(ends - begins) // length))
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = np.repeat(begins, counts) + within * length
    return Ranges(starts, np.minimum(starts + length, np.repeat(ends, counts)))


def _spell_out(starts: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of rows that begin at `starts` and are stored from `offsets` on."""
    return np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], np.diff(offsets))


def count_tokens(parts: Parts) -> int:
    """Tokens of some parts."""
    return int((parts[:, 1] - parts[:, 0]).sum())

"""Documents as one stream of tokens, and blocks of it, each beside what follows it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.field import RaggedRows
from edgekd.field import sum_lengths
from edgekd.learn.data.encoding import EncodedDocument

Part = tuple[int, int]
"""Where a document, or what a split has of it, begins and ends in a stream."""


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
    """Documents one behind the other with a separator between two; six bytes a token.

    Args:
        separator: what stands between two documents; may be no token.
    """

    def __init__(self, separator: EncodedDocument) -> None:
        self._separator = separator
        self._tokens, self._sizes = array("i"), array("H")
        self._wide: dict[int, int] = {}
        self.parts: list[Part] = []

    def append(self, document: EncodedDocument) -> None:
        """Add a document; one without a token is none between two separators."""
        if self.parts:
            self._extend(self._separator)
        start = len(self._tokens)
        self._extend(document)
        self.parts.append((start, len(self._tokens)))

    def _extend(self, document: EncodedDocument) -> None:
        narrow = document.sizes.astype(np.uint16)
        for at in np.flatnonzero(narrow != document.sizes).tolist():  # a token of 64 KiB and more
            self._wide[len(self._tokens) + at] = int(document.sizes[at]) - int(narrow[at])
        self._tokens.frombytes(np.ascontiguousarray(document.tokens, np.int32).tobytes())
        self._sizes.frombytes(narrow.tobytes())

    def divide(self, validation: float, test: float) -> dict[str, list[Part]]:
        """Share documents out as they stand: first training, then validation, then test; the two at a border are cut there.

        Args:
            validation: share of all tokens of documents.
            test: share of them.
        """
        total = sum(stop - start for start, stop in self.parts)
        borders = [round(total * (1 - validation - test)), round(total * (1 - test)), total]
        found: dict[str, list[Part]] = {"train": [], "validation": [], "test": []}
        first = 0
        for begin, end in self.parts:
            last, start = first + end - begin, first
            for name, border in zip(found, borders, strict=True):
                stop = min(border, last)
                if stop > start:
                    found[name].append((begin + start - first, begin + stop - first))
                    start = stop
            first = last
        return found

    def pack(self, parts: Sequence[Part], length: int) -> Blocks:
        """The blocks of `find_packed`."""
        return self.make_blocks(find_packed(parts, length))

    def cut(self, parts: Sequence[Part], length: int) -> Blocks:
        """The blocks of `find_cut`."""
        return self.make_blocks(find_cut(parts, length))

    def take(self, parts: Sequence[Part], length: int, *, packed: bool) -> RaggedRows:
        """Blocks of the tokens alone, int32.

        Args:
            parts: neighbouring ones.
            length: tokens of a block.
            packed: whether all are of that length, what stands between the parts included and what is left over at the end
                left out; else blocks are of one part each, at most so long, and hold every token of theirs.
        """
        tokens = np.frombuffer(self._tokens, np.int32)
        if packed:
            start = parts[0][0] if parts else 0
            count = (parts[-1][1] - start) // length if parts else 0
            return RaggedRows(tokens[start : start + count * length], np.arange(count + 1) * length)
        starts = [at for start, stop in parts for at in range(start, stop, length)]
        ends = [
            min(at + length, stop) for start, stop in parts for at in range(start, stop, length)
        ]
        joined = [tokens[start:stop] for start, stop in parts]
        offsets = sum_lengths(np.array(ends, np.int64) - np.array(starts, np.int64))
        return RaggedRows(np.concatenate([np.zeros(0, np.int32), *joined]), offsets)

    def make_blocks(self, ranges: Ranges) -> Blocks:
        """Blocks, each beside what follows."""
        starts, stops = ranges
        sizes = self.sum_sizes(starts + 1, stops + 1)
        return Blocks(self.read(starts, stops), self.read(starts + 1, stops + 1), sizes)

    def read(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> RaggedRows:
        """Tokens from start to stop, int32; a view of the stream where each begins as the one before ends."""
        tokens = np.frombuffer(self._tokens, np.int32)
        offsets = sum_lengths(stops - starts)
        if np.array_equal(starts[1:], stops[:-1]):
            first = int(starts[0]) if len(starts) else 0
            return RaggedRows(tokens[first : first + offsets[-1]], offsets)
        return RaggedRows(tokens[_spell_out(starts, offsets)], offsets)

    def count_read_bytes(self) -> NDArray[np.int64]:
        """How much has been read behind each token, [T]: the bytes of all documents up to it, and one for each document that
        began before. What stands between two documents stands at the beginning of the second."""
        sizes = np.frombuffer(self._sizes, np.uint16).astype(np.int64)
        for at, more in self._wide.items():
            sizes[at] += more
        begins, ends = np.array(self.parts, np.int64).reshape(-1, 2).T
        for start, stop in zip(ends[:-1], begins[1:], strict=True):
            sizes[start:stop] = 0
        begun = np.searchsorted(ends, np.arange(len(sizes)), side="right")
        return np.asarray(np.cumsum(sizes) + begun)

    def sum_sizes(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.int64]:
        """Bytes of the tokens of each block, [N]; the starts ascend, no block is empty."""
        if not len(starts):
            return np.zeros(0, np.int64)
        borders = np.stack([starts, stops], axis=1).ravel()
        sizes = np.frombuffer(self._sizes, np.uint16)[: borders[-1]]
        found = np.add.reduceat(sizes, borders[:-1], dtype=np.int64)[::2]
        for at, more in self._wide.items():
            number = int(np.searchsorted(starts, at, side="right")) - 1
            if number >= 0 and at < stops[number]:
                found[number] += more
        return np.asarray(found)


def find_packed(parts: Sequence[Part], length: int) -> Ranges:
    """Blocks of `length` tokens of neighbouring parts and what stands between them; what is left over at the end is left
    out."""
    start = parts[0][0] if parts else 0
    count = max(0, (parts[-1][1] - start - 1) // length) if parts else 0
    borders = start + np.arange(count + 1) * length
    return Ranges(borders[:-1], borders[1:])


def find_cut(parts: Sequence[Part], length: int) -> Ranges:
    """Blocks of at most `length` tokens of one part each: every token but a part's first follows once."""
    found = [
        (at, min(at + length, stop - 1))
        for start, stop in parts
        for at in range(start, stop - 1, length)
    ]
    return Ranges(*np.array(found, np.int64).reshape(-1, 2).T)


def _spell_out(starts: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of rows that begin at `starts` and are stored from `offsets` on."""
    return np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], np.diff(offsets))


def count_tokens(parts: Sequence[Part]) -> int:
    """Tokens of some parts."""
    return sum(stop - start for start, stop in parts)

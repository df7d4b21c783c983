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
        """Add a document that has a token."""
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
        """Blocks of `length` tokens of neighbouring parts and what stands between them; what is left over at the end is left
        out."""
        start = parts[0][0] if parts else 0
        count = max(0, (parts[-1][1] - start - 1) // length) if parts else 0
        tokens, stop = np.frombuffer(self._tokens, np.int32), start + count * length
        offsets = np.arange(count + 1) * length
        return Blocks(
            RaggedRows(tokens[start:stop], offsets),
            RaggedRows(tokens[start + 1 : stop + 1], offsets),
            self._sum_sizes(start + 1 + offsets[:-1], start + 1 + offsets[1:]),
        )

    def cut(self, parts: Sequence[Part], length: int) -> Blocks:
        """Blocks of at most `length` tokens of one part each: every token but a part's first follows once."""
        tokens = np.frombuffer(self._tokens, np.int32)
        long = [(start, stop) for start, stop in parts if stop - start > 1]
        starts = [at for start, stop in long for at in range(start, stop - 1, length)]
        ends = [
            min(at + length, stop - 1)
            for start, stop in long
            for at in range(start, stop - 1, length)
        ]
        offsets = sum_lengths(np.array(ends, np.int64) - np.array(starts, np.int64))
        none = np.zeros(0, np.int32)
        before, after = (
            np.concatenate([none, *(tokens[start + k : stop - 1 + k] for start, stop in long)])
            for k in (0, 1)
        )
        firsts, stops = np.array(starts, np.int64) + 1, np.array(ends, np.int64) + 1
        sizes = self._sum_sizes(firsts, stops)
        return Blocks(RaggedRows(before, offsets), RaggedRows(after, offsets), sizes)

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

    def _sum_sizes(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.int64]:
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


def count_tokens(parts: Sequence[Part]) -> int:
    """Tokens of some parts."""
    return sum(stop - start for start, stop in parts)

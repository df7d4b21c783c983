"""Spooled documents as one stream, shared out to the splits; what it takes does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.learn.data.blocks import Corpus
from edgekd.learn.data.blocks import Parts
from edgekd.learn.data.blocks import SplitShares
from edgekd.learn.data.blocks import TokenStream
from edgekd.learn.data.blocks import divide_parts
from edgekd.learn.data.encoding import Encoding
from edgekd.learn.data.spooled_texts import TextSpool
from edgekd.learn.data.spooled_texts import TokenShard
from edgekd.learn.source import SPLITS


class _Run(NamedTuple):
    """Documents of one shard and split, one behind the other."""

    tokens: NDArray[np.int32]
    sizes: NDArray[np.int64]
    parts: Parts


def read_spooled_corpus(spool: TextSpool, encoding: Encoding, shares: SplitShares) -> Corpus:
    """The documents of a spool, training first.

    Each shard's documents lie in the order of their hashes and are shared out as those of a corpus are, unless rows or the
    folder say of which split they are.

    Args:
        spool: of `text-corpus` or `masked-text`.
        encoding: that made its tokens.
        shares: of the tokens.

    Raises:
        InputError: if a shard is not what was written, or there is nothing to train on.
    """
    said = spool.says_splits()
    stream = TokenStream(encoding.separator)
    between = len(encoding.separator.tokens)
    divided = None if said or len(spool.splits) > 1 else shares
    counts: dict[str, int] = {}
    for name in SPLITS:
        before = len(stream.parts)
        for shard in spool.read_shards(trusted=True):
            for run in _find_runs(shard, name, said, between, divided):
                stream.append_run(*run)
        counts[name] = len(stream.parts) - before
    of_split, first = {}, 0
    for name, count in counts.items():
        if count:
            of_split[name] = stream.parts[first : first + count]
        first += count
    if "train" not in of_split:
        raise InputError(f"{spool.folder}: got no text to train on, want some")
    documents = sum(len(shard.rows["split"]) for shard in spool.read_shards(trusted=True))
    return Corpus(stream, of_split, documents)


def _find_runs(
    shard: TokenShard, split: str, said: bool, between: int, shares: SplitShares | None
) -> Iterator[_Run]:
    """Yield what a shard has of a split, if it has some."""
    tokens, sizes = shard.rows["tokens"], shard.rows["sizes"]
    assert isinstance(tokens, RaggedRows) and isinstance(sizes, RaggedRows)
    if (
        not np.array_equal(tokens.offsets, sizes.offsets)
        or tokens.lengths.min(initial=9) <= between
    ):
        raise InputError(f"{shard.path}: got no documents, want what edgekd spool wrote")
    chosen = np.arange(len(tokens))
    if shares is None:
        chosen = np.flatnonzero(shard.name_splits(said) == SPLITS.index(split))
        if len(chosen) < len(tokens):
            tokens, sizes = tokens[chosen], sizes[chosen]
    parts = np.stack([tokens.offsets[:-1], tokens.offsets[1:] - between], axis=1)
    if shares is not None:
        parts = divide_parts(parts, *shares)[split]
    if len(parts):
        start, stop = parts[0, 0], parts[-1, 1]
        yield _Run(tokens.values[start:stop], sizes.values[start:stop], parts - start)

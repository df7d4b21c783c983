"""The blocks of one tokenizer's stream as the tokens of another, and which token answers to which."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.field import RaggedRows
from edgekd.field import sum_lengths
from edgekd.fields.tags import IGNORED
from edgekd.learn.data.blocks import Blocks
from edgekd.learn.data.blocks import Ranges
from edgekd.learn.data.blocks import TokenStream

ALIGNMENTS = ("text", "position")
NO_PLACE = -1
"""Stands for no token."""


class PairedBlocks(NamedTuple):
    """Blocks of the same texts in other tokens."""

    blocks: Blocks
    places: RaggedRows
    """int32, of each token of the first stream's block the place in the second's of which the answer is compared with its
    own, or `NO_PLACE`."""


def pair_blocks(
    one: TokenStream, ranges: Ranges, other: TokenStream, padding: int, align: str = "text"
) -> PairedBlocks:
    """The tokens of `other` that lie within the blocks of `one`, whole ones alone.

    A block's text is that of its tokens and of the one that follows the last. Where no two tokens of `other` lie within it
    nothing there has to be said: its only token, or else `padding`, is followed by none.

    ``text`` pairs the tokens behind which both have read the same text, up to the same byte; of several that end at one
    byte, as pieces of one character do, the last. What comes next is then the same to both (the positions at which the
    chunks of Minixhofer, Vulić and Ponti 2025, arXiv:2503.20083, end). ``position`` pairs the first with the first and so
    on, up to the end of the shorter (Boizard et al. 2024, arXiv:2402.12030, sec. 3.2).

    Args:
        one: documents in the tokens that made the blocks.
        ranges: where these lie.
        other: the same documents in other tokens.
        padding: one of them.
        align: of `ALIGNMENTS`.
    """
    mine, theirs = one.count_read_bytes(), other.count_read_bytes()
    firsts, lasts = _find_within(mine, theirs, ranges)
    speaks = lasts > firsts
    tokens = other.read(firsts, np.maximum(lasts, firsts + (lasts >= firsts)))
    following = other.read(firsts + 1, np.where(speaks, lasts, firsts) + 1)
    sizes = np.zeros(len(firsts), np.int64)
    sizes[speaks] = other.sum_sizes(firsts[speaks] + 1, lasts[speaks] + 1)
    blocks = Blocks(_fill(tokens, padding), _fill(following, IGNORED), sizes)
    lengths = np.where(speaks, lasts - firsts, 0)
    offsets = sum_lengths(ranges.stops - ranges.starts)
    block = np.repeat(np.arange(len(firsts)), np.diff(offsets))
    within = np.arange(offsets[-1]) - offsets[block]
    if align == "position":
        place = within
    else:
        place = _find_same(mine, theirs, ranges.starts[block] + within) - firsts[block]
    counted = (place >= 0) & (place < lengths[block])
    return PairedBlocks(
        blocks, RaggedRows(np.where(counted, place, NO_PLACE).astype(np.int32), offsets)
    )


def _find_within(
    mine: NDArray[np.int64], theirs: NDArray[np.int64], ranges: Ranges
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first and the last token of `theirs` that lie whole within each block's text, [N] each; a last before its first
    where there is none."""
    before = np.where(ranges.starts > 0, mine[ranges.starts - 1], 0)
    firsts = np.where(ranges.starts > 0, np.searchsorted(theirs, before, side="right"), 0)
    begins = np.concatenate([[0], theirs])[firsts]  # what was read before each
    firsts = firsts + (begins < before)
    lasts = np.searchsorted(theirs, mine[ranges.stops], side="right") - 1
    return firsts, np.maximum(lasts, firsts - 1)


def _find_same(
    mine: NDArray[np.int64], theirs: NDArray[np.int64], places: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The last token of `theirs` behind which as much is read as behind each of `mine` at `places`; far below 0 where there
    is none, or where the next of `mine` ends there, too."""
    read = mine[places]
    found = np.searchsorted(theirs, read, side="right") - 1
    same = (found >= 0) & (theirs[found] == read) & (mine[places + 1] > read)
    return np.where(same, found, np.iinfo(np.int32).min)


def _fill(rows: RaggedRows, value: int) -> RaggedRows:
    """The rows, with one value in those that are empty."""
    empty = rows.lengths == 0
    if not empty.any():
        return rows
    offsets = sum_lengths(np.maximum(rows.lengths, 1))
    found = np.full(offsets[-1], value, rows.values.dtype)
    found[~np.repeat(empty, np.diff(offsets))] = rows.values
    return RaggedRows(found, offsets)

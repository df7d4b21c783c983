"""Documents as blocks of tokens, each beside what follows it."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.learn.data.encoding import EncodedDocument


class Block(NamedTuple):
    """Some tokens of a text, one behind the other."""

    tokens: NDArray[np.int32]
    """[L]."""
    following: NDArray[np.int64]
    """[L], the token after each."""
    size_bytes: int
    """Bytes of UTF-8 of all that follows."""


def divide_documents(
    documents: Sequence[EncodedDocument], validation: float, test: float
) -> dict[str, list[EncodedDocument]]:
    """Share documents out as they stand: first training, then validation, then test; the two at a border are cut there.

    Args:
        documents: in an order that says nothing of what is in them.
        validation: share of all tokens.
        test: share of all tokens.
    """
    total = sum(len(each.tokens) for each in documents)
    borders = [round(total * (1 - validation - test)), round(total * (1 - test)), total]
    found: dict[str, list[EncodedDocument]] = {"train": [], "validation": [], "test": []}
    first = 0
    for each in documents:
        last, start = first + len(each.tokens), first
        for name, border in zip(found, borders, strict=True):
            stop = min(border, last)
            if stop > start:
                part = slice(start - first, stop - first)
                found[name].append(EncodedDocument(each.tokens[part], each.sizes[part]))
                start = stop
        first = last
    return found


def pack_documents(
    documents: Sequence[EncodedDocument], separator: EncodedDocument, length: int
) -> list[Block]:
    """Blocks of `length` tokens of all documents one behind the other; what is left over at the end is left out."""
    parts: list[EncodedDocument] = []
    for each in documents:
        parts += [separator, each] if parts else [each]
    if not parts:
        return []
    tokens = np.concatenate([part.tokens for part in parts])
    sizes = np.concatenate([part.sizes for part in parts])
    whole = EncodedDocument(tokens, sizes)
    return [block for block in _cut(whole, length) if len(block.tokens) == length]


def cut_documents(documents: Sequence[EncodedDocument], length: int) -> list[Block]:
    """Blocks of at most `length` tokens, of one document each: every token but a document's first follows once."""
    return [block for each in documents for block in _cut(each, length)]


def _cut(document: EncodedDocument, length: int) -> Iterator[Block]:
    for start in range(0, len(document.tokens) - 1, length):
        tokens = document.tokens[start : start + length + 1]
        sizes = document.sizes[start + 1 : start + length + 1]
        yield Block(tokens[:-1], tokens[1:].astype(np.int64), int(sizes.sum()))

"""Texts that are judged by although a model has learned them: the same text in training and in another split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from edgekd.field import RaggedRows
from edgekd.learn.source import Source
from edgekd.learn.split import SplitShare
from edgekd.units import number_text

TEXTS = ("tokens", "text-pair")
"""Kinds of fields that are compared; of pictures copies are seldom alike to the byte."""
BLOCKS = ("next-tokens", "masked-tokens")
"""Beside these texts are pieces of a corpus, of which copies begin elsewhere: they are not compared."""
LEAST = 0.01
"""Of a split's texts: fewer hardly move its score."""


def describe_overlap(source: Source, shares: Mapping[str, SplitShare]) -> list[str]:
    """A sentence for each split of which 1 % or more are texts of training, too, as a model sees them: what is cut off is not compared.

    Args:
        source: a sound one.
        shares: the samples of ``train`` and of the other splits.
    """
    kinds = {name: words.kind for name, words in source.fields.items()}
    named = [name for name, kind in kinds.items() if kind in TEXTS]
    if {*BLOCKS}.intersection(kinds.values()):
        return []
    found = []
    for name in named[:1]:
        taken = {split: _digest_rows(source, name, share) for split, share in shares.items()}
        for split, digests in taken.items():
            count = int(np.isin(digests, taken["train"]).sum())
            if split != "train" and count and count >= LEAST * len(digests):
                are = "is a text" if count == 1 else "are texts"
                found.append(
                    f"{number_text(count, 'text')} of the {len(digests):,} of the {split} split {are} of training, too: "
                    "what is known by heart raises the score"
                )
    return found


def whole_splits(source: Source) -> dict[str, SplitShare]:
    """The splits as the source has them."""
    counts = {name: len(next(iter(rows.values()))) for name, rows in source.splits.items()}
    return {name: SplitShare(name, np.arange(count)) for name, count in counts.items()}


def _digest_rows(source: Source, name: str, share: SplitShare) -> NDArray[np.uint64]:
    """[n], of each text of a split."""
    rows = source.splits[share.split][name]
    return np.fromiter(_digests(rows, share.order), np.uint64, len(share.order))


def _digests(rows: RaggedRows | NDArray[np.generic], order: NDArray[np.int64]) -> Iterator[int]:
    for at in order.tolist():
        row = rows.row(at) if isinstance(rows, RaggedRows) else rows[at]
        digest = hashlib.blake2b(np.ascontiguousarray(row).tobytes(), digest_size=8).digest()
        yield int.from_bytes(digest, "little")

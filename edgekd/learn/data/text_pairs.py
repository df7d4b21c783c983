"""Source `text-pairs`: a list of two texts a row that belong together, perhaps with how alike they are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.field import from_rows
from edgekd.learn.data.columns import find_splits
from edgekd.learn.data.encoding import Encoding
from edgekd.learn.data.encoding import describe_cut
from edgekd.learn.data.encoding import find_tokenizer
from edgekd.learn.data.encoding import open_encoding
from edgekd.learn.data.hub_lists import fetch
from edgekd.learn.data.hub_lists import list_local
from edgekd.learn.data.hub_lists import pins as pins
from edgekd.learn.data.hub_lists import remote as remote
from edgekd.learn.data.lists import read_list
from edgekd.learn.data.spooled_rows import read_pairs
from edgekd.learn.data.spooled_texts import find_spool
from edgekd.learn.formats.records import is_number
from edgekd.learn.source import SKIP_HINT
from edgekd.learn.source import FieldWords
from edgekd.learn.source import Source
from edgekd.learn.source import locate
from edgekd.learn.source import require_known
from edgekd.settings import Count
from edgekd.units import number_text

SHARES = (("test", 0.1), ("validation", 0.1))
"""Of the pairs, where a list does not say its splits."""
LEAST_PAIRS = 30


class _Pair(NamedTuple):
    tokens: tuple[NDArray[np.int32], NDArray[np.int32]]
    score: float
    cut: int
    digest: bytes


def files(
    *,
    reference: str,
    tokenizer: str | None = None,
    data_dir: Path | None = None,
    allow_download: bool = False,
    **_: Any,
) -> list[Path]:
    """The file, and that of the tokenizer if there is one.

    Raises:
        InputError: if one is not there.
    """
    return [*list_local(reference, data_dir, allow_download), *find_tokenizer(tokenizer, data_dir)]


def read(
    *,
    reference: str,
    first: str = "first",
    second: str = "second",
    score: str | None = None,
    dimensions: Count = 64,
    longest: Count = 256,
    tokenizer: str | None = None,
    on_broken: str = "refuse",
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """The texts of the list `reference`, two samples a row, which no split tears apart.

    Args:
        reference: a file (.jsonl, .json, .csv, .tsv, .parquet, .arrow), or a folder of the last two.
        first: column of the one text.
        second: column of the other.
        score: column of how alike both are, a number; None if nobody says it.
        dimensions: numbers of the vector that stands for a text.
        longest: tokens of a text that are taken; the rest is cut off.
        tokenizer: a tokenizer.json, or the folder it lies in; None takes the bytes of a text for its tokens.
        on_broken: ``refuse`` stops at the first row that cannot be used, ``skip`` leaves them out and lists them.

    Raises:
        InputError: naming the file and the row that lacks a text or score, or if there are too few.
    """
    require_known(on_broken)
    if (spool := find_spool(reference, data_dir)) is not None:
        asked = {"first": first, "second": second, "score": score, "longest": longest}
        usual = {"first": "first", "second": "second", "score": None, "longest": 256}
        spool.require_same("text-pairs", asked, usual)
        return read_pairs(spool, spool.open_encoding(tokenizer, data_dir), dimensions)
    path = locate(fetch(reference, data_dir, allow_download), data_dir)
    records, encoding = read_list(path), open_encoding(tokenizer, data_dir)
    for column in filter(None, (first, second, score)):
        if column not in records.columns:
            hint = find_nearest(column, records.columns)
            raise InputError(f"{path}: got no column {column!r}, want it", hint=hint)
    said, splits = find_splits(records, None, path, str(path))
    found: list[_Pair | None] = []
    skipped: list[str] = []
    for number, row in enumerate(records.rows):
        try:
            found.append(_encode(row, (first, second), score, encoding, longest))
        except ValueError as error:
            message = f"{records.where(path, number)}: {error}"
            if on_broken == "refuse":
                raise InputError(message, hint=SKIP_HINT) from error
            skipped.append(message)
            found.append(None)
    chosen = {name: [pair for at in rows if (pair := found[at])] for name, rows in splits.items()}
    if said is None:
        chosen = _divide(chosen["train"], path)
    kept = [pair for each in chosen.values() for pair in each]
    if not chosen.get("train"):
        raise InputError(f"{path}: got no pair to train on, want some")
    most = max(len(tokens) for pair in kept for tokens in pair.tokens)
    cut = describe_cut(sum(pair.cut for pair in kept), longest, encoding.unit)
    return Source(
        {name: _rows(each) for name, each in chosen.items() if each},
        {
            "text": FieldWords("tokens", encoding.describe(most)),
            "pairs": FieldWords("pairs", {"dimensions": dimensions, "scored": score is not None}),
        },
        (f"{number_text(len(kept), 'pair')} of texts{cut}",),
        tuple(skipped),
        tokenizer=encoding.file,
    )


def _encode(
    row: dict[str, Any],
    columns: tuple[str, str],
    score: str | None,
    encoding: Encoding,
    longest: int,
) -> _Pair:
    """
    Raises:
        ValueError: if a row is no pair of texts.
    """
    tokens, cut = [], 0
    for column in columns:
        if not isinstance(row.get(column), str) or not row[column].strip():
            raise ValueError(f"{column}: got {str(row.get(column))[:40]!r}, want text")
        try:
            each, is_cut = encoding.encode(row[column], longest)
        except UnicodeEncodeError as error:
            raise ValueError(f"{column}: got half a character, want text in UTF-8") from error
        if not len(each):
            raise ValueError(f"{column}: got no token, want some")
        tokens.append(each)
        cut += is_cut
    likeness = parse_score(row, score)
    digest = hashlib.sha256("\0".join(row[column] for column in columns).encode()).digest()
    return _Pair((tokens[0], tokens[1]), likeness, cut, digest)


def parse_score(row: dict[str, Any], score: str | None) -> float:
    """How alike a row says its texts are; 0 where no column does.

    Raises:
        ValueError: if it is no number.
    """
    if score is not None and not is_number(row.get(score)):
        raise ValueError(f"{score}: got {str(row.get(score))[:20]!r}, want a number")
    return 0.0 if score is None else float(row[score])


def _divide(pairs: Sequence[_Pair], path: Path) -> dict[str, list[_Pair]]:
    """The pairs by split, as the hash of their texts orders them.

    Raises:
        InputError: if there are too few.
    """
    if len(pairs) < LEAST_PAIRS:
        got = number_text(len(pairs), "pair")
        raise InputError(f"{path}: got {got}, want {LEAST_PAIRS} or more, or a column split")
    left = sorted(pairs, key=lambda pair: pair.digest)
    found: dict[str, list[_Pair]] = {}
    for name, share in SHARES:
        count = round(share * len(pairs))
        found[name], left = left[:count], left[count:]
    return {"train": left, **found}


def _rows(pairs: Sequence[_Pair]) -> dict[str, Any]:
    numbers = [
        [float(number), float(member), pair.score]
        for number, pair in enumerate(pairs)
        for member in range(len(pair.tokens))
    ]
    tokens = [each for pair in pairs for each in pair.tokens]
    return {
        "text": from_rows(tokens, np.zeros(0, np.int32)),
        "pairs": np.array(numbers, np.float64),
    }

"""What each source of texts makes of the rows of a stream: a sample as JSON, without its tokens."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from edgekd.errors import InputError
from edgekd.learn.data.columns import LOOKED_AT
from edgekd.learn.data.columns import USUAL
from edgekd.learn.data.columns import is_missing
from edgekd.learn.data.columns import name_split
from edgekd.learn.data.tagged_text import parse_tags
from edgekd.learn.data.text_csv import find_label
from edgekd.learn.data.text_csv import find_text
from edgekd.learn.data.text_line import parse_label
from edgekd.learn.data.text_line import parse_words
from edgekd.learn.data.text_pairs import parse_score
from edgekd.learn.formats.records import Records
from edgekd.learn.streams.rows import StreamRow


class TextSample(NamedTuple):
    """A sample before it is tokenized."""

    content: bytes
    """JSON: the split that its row names, empty for none, and what the source's `SampleKind` takes of it."""
    place: str
    """What it is called in a message."""
    fault: str = ""
    """Why it cannot be used."""


Words = Mapping[str, Any]
"""Arguments of a source, the names of columns among them."""


class SampleKind(NamedTuple):
    """How a source reads a row."""

    columns: Callable[[Records, Words, str], dict[str, str]]
    """Names the columns that the arguments leave open, from the first rows."""
    parse: Callable[[dict[str, Any], Words], list[Any]]
    """What of a row is a sample.

    Raises ValueError: if it is none.
    """


def make_samples(
    rows: Iterator[StreamRow], kind: SampleKind, words: Words, where: str
) -> Iterator[TextSample]:
    """Yield a sample a row; one that is none says why.

    Raises:
        InputError: if the first rows leave it open which column is what.
    """
    first = list(itertools.islice(rows, LOOKED_AT))
    whole = [row.cells for row in first if not row.fault]
    names = tuple(dict.fromkeys(name for cells in whole for name in cells))
    records = Records(names, whole, list(range(1, len(whole) + 1)), "row")
    found = {**words, **(kind.columns(records, words, where) if whole else {})}
    said = next((name for name in names if name.casefold() in USUAL["split"]), None)
    said = said if any(name_split(cells.get(said)) for cells in whole if said) else None
    for cells, place, fault in itertools.chain(first, rows):
        if fault:
            yield TextSample(b"", place, fault)
            continue
        try:
            value = [_read_split(cells, said), *kind.parse(cells, found)]
            yield TextSample(json.dumps(value, ensure_ascii=False).encode(), place)
        except (ValueError, RecursionError) as error:
            yield TextSample(b"", place, str(error))


def require_usable(sample: TextSample) -> None:
    """Raises InputError for a row that is no sample."""
    if sample.fault:
        raise InputError(f"{sample.place}: {sample.fault}")


def _read_split(cells: dict[str, Any], column: str | None) -> str:
    if column is None:
        return ""
    split = name_split(cells.get(column))
    if split is None:
        raise ValueError(f"{column}: got {str(cells.get(column))[:20]!r}, want the name of a split")
    return split


def _find_text(records: Records, words: Words, where: str) -> dict[str, str]:
    return {"text": _name_column("text", records, words) or find_text(records, None, where)}


def _find_labelled(records: Records, words: Words, where: str) -> dict[str, str]:
    others = [words["second"]] if words.get("second") else []
    text = _name_column("text", records, words) or find_text(records, None, where, without=others)
    label = _name_column("label", records, words) or find_label(records, None, where, text)
    return {"text": text, "label": label}


def _name_column(role: str, records: Records, words: Words) -> str | None:
    """The column that the arguments say, or the one that is called as its role; None if there is none."""
    said = words.get(role)
    return str(said) if said else role if role in records.columns else None


def _find_nothing(records: Records, words: Words, where: str) -> dict[str, str]:
    return {}


def _parse_document(cells: dict[str, Any], words: Words) -> list[Any]:
    return parse_words(cells, words["text"])


def _parse_labelled(cells: dict[str, Any], words: Words) -> list[Any]:
    said = parse_words(cells, words["text"], words.get("second"))
    label = None if is_missing(cells.get(words["label"])) else cells[words["label"]]
    keep = words.get("unlabelled") == "keep"
    return [said, parse_label({words["label"]: label}, words["label"], keep)]


def _parse_pair(cells: dict[str, Any], words: Words) -> list[Any]:
    said = parse_words(cells, words["first"], words["second"])
    return [said, parse_score(cells, words.get("score"))]


def _parse_tagged(cells: dict[str, Any], words: Words) -> list[Any]:
    said, tags = parse_tags(cells, words["tokens"], words["tags"])
    " ".join(said).encode()
    return [said, list(tags)]


_DOCUMENTS = SampleKind(_find_text, _parse_document)
_LABELLED = SampleKind(_find_labelled, _parse_labelled)
KINDS: dict[str, SampleKind] = {
    "text-corpus": _DOCUMENTS,
    "masked-text": _DOCUMENTS,
    "jsonl": _LABELLED,
    "text-csv": _LABELLED,
    "text-pairs": SampleKind(_find_nothing, _parse_pair),
    "tagged-text": SampleKind(_find_nothing, _parse_tagged),
}
"""By the name of the source."""

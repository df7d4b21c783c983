"""Source `text-csv`: a list of texts with their labels: CSV, TSV, JSON, Parquet, Arrow, or a folder that `datasets` saved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.learn.data.columns import LOOKED_AT
from edgekd.learn.data.columns import column_fits
from edgekd.learn.data.columns import describe_unlabelled
from edgekd.learn.data.columns import drop_unlabelled
from edgekd.learn.data.columns import find_column
from edgekd.learn.data.columns import find_splits
from edgekd.learn.data.columns import is_label
from edgekd.learn.data.columns import is_missing
from edgekd.learn.data.columns import number_classes
from edgekd.learn.data.columns import require_unlabelled
from edgekd.learn.data.encoding import Encoding
from edgekd.learn.data.encoding import describe_cut
from edgekd.learn.data.encoding import find_tokenizer
from edgekd.learn.data.encoding import open_encoding
from edgekd.learn.data.hub_lists import fetch
from edgekd.learn.data.hub_lists import list_local
from edgekd.learn.data.hub_lists import pins as pins
from edgekd.learn.data.hub_lists import remote as remote
from edgekd.learn.data.lists import read_list
from edgekd.learn.data.spooled_rows import read_labelled
from edgekd.learn.data.spooled_texts import find_spool
from edgekd.learn.formats.records import Records
from edgekd.learn.formats.records import is_number
from edgekd.learn.source import SKIP_HINT
from edgekd.learn.source import FieldWords
from edgekd.learn.source import Source
from edgekd.learn.source import locate
from edgekd.learn.source import require_known
from edgekd.learn.source import require_names
from edgekd.settings import Count
from edgekd.units import number_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Rows

LABELS = ("label", "class")
"""What a column is called that holds labels, whatever is in it; small letters."""


def files(
    *,
    reference: str,
    tokenizer: str | None = None,
    data_dir: Path | None = None,
    allow_download: bool = False,
    **_: Any,
) -> list[Path]:
    """The files of the list, and that of the tokenizer if there is one.

    Raises:
        InputError: if one is not there.
    """
    return [*list_local(reference, data_dir, allow_download), *find_tokenizer(tokenizer, data_dir)]


def read(
    *,
    reference: str,
    text: str | None = None,
    second: str | None = None,
    label: str | None = None,
    split: str | None = None,
    longest: Count = 256,
    tokenizer: str | None = None,
    on_broken: str = "refuse",
    unlabelled: str = "refuse",
    data_dir: Path | None = None,
    allow_code: bool = False,
    allow_download: bool = False,
) -> Source:
    """The samples of the list `reference`, one a row; columns that are not named here are ignored.

    Args:
        reference: a file with comma, semicolon, tab or bar between cells and the names of the columns in the first line;
            of JSON, Parquet or Arrow; or a folder of the last two, whose files say by their names of which split they are.
        text: column of the texts; None to tell by its name, or as the only one with words.
        second: column of another text, where two have one label: both are joined as the tokenizer does it, the longer cut
            first. `text` then names the first.
        label: column of the labels; None to tell by its name, or as the only other one that repeats.
        split: column with train, validation or test; None takes ``split`` or the like where there is one.
        longest: bytes of a text that are taken; the rest is cut off.
        tokenizer: a tokenizer.json, or the folder it lies in; None takes the bytes of a text for its tokens.
        on_broken: ``refuse`` stops at the first row without a text or label, ``skip`` leaves them out and lists them.
        unlabelled: ``keep`` has training rows without a label teach the student what its teacher says of them.

    Raises:
        InputError: naming the file and the line that cannot be used, or the columns that could all be it.
    """
    require_known(on_broken)
    require_unlabelled(unlabelled)
    if (spool := find_spool(reference, data_dir)) is not None:
        said = {"text": text, "second": second, "label": label, "longest": longest}
        usual = {"text": None, "second": None, "label": None, "longest": 256}
        spool.require_same("text-csv", said, usual)
        return read_labelled(spool, spool.open_encoding(tokenizer, data_dir))
    path = locate(fetch(reference, data_dir, allow_download), data_dir)
    where, records = str(path), read_list(path)
    others = [] if second is None else [find_column(records, "text", second, where)]
    text = find_text(records, text, where, without=others)
    label = find_label(records, label, where, text)
    records, skipped = drop_unlabelled(records, label, path, on_broken, unlabelled)
    encoding = open_encoding(tokenizer, data_dir)
    records, encoded, dropped = _encode(
        records, (text, *others), encoding, longest, path, on_broken
    )
    skipped += dropped
    column, splits = find_splits(records, split, path, where)
    labels = [row.get(label) for row in records.rows]
    require_names((str(each) for each in labels if not is_missing(each)), where)
    classes, numbers = number_classes(labels, splits["train"], records, path, label)
    tokens = [each for each, _ in encoded]
    cut = sum(is_cut for _, is_cut in encoded)
    rows: dict[str, dict[str, Rows]] = {
        name: {
            "text": _ragged([tokens[number] for number in chosen]),
            "labels": np.array([numbers[number] for number in chosen], np.int64),
        }
        for name, chosen in splits.items()
    }
    describe = encoding.describe if second is None else encoding.describe_pair
    words = describe(max(map(len, tokens)))
    divided = f", splits in {column}" if column else "; no column for splits"
    shortened = describe_cut(cut, longest, encoding.unit)
    note = (
        f"texts in column {text}, labels in {label}{divided}; {number_text(len(tokens), 'text')} of "
        f"{number_text(len(classes), 'class', 'classes')}{describe_unlabelled(numbers)}{shortened}"
    )
    fields = {
        "text": FieldWords("tokens" if second is None else "text-pair", words),
        "labels": FieldWords("class", {"names": classes}),
    }
    return Source(rows, fields, (note,), tuple(skipped), tokenizer=encoding.file)


def is_words(value: Any) -> bool:
    """Return whether a cell is a text of several words or lines, or a word that is long."""
    return isinstance(value, str) and (" " in value.strip() or len(value) > 20)


def is_text(value: Any) -> bool:
    """Return whether a cell is a text of any length that is no number."""
    return isinstance(value, str) and not is_number(value)


def find_text(
    records: Records, said: str | None, where: str, *, without: Sequence[str] = ()
) -> str:
    """The column of texts: by its name or as the only one with words; where none has words, by its name alone.

    Raises:
        InputError: as `find_column`.
    """
    if said is None:
        without = [*without, *(n for n in records.columns if n.casefold() in LABELS)]
    left = [name for name in records.columns if name not in without]
    has_words = any(column_fits(records, name, is_words, whole=False) for name in left)
    fits = is_words if has_words else is_text
    return find_column(records, "text", said, where, fits, by_content=has_words, without=without)


def find_label(records: Records, said: str | None, where: str, text: str) -> str:
    """The column of labels: by its name, or the only one beside the texts whose values come again.

    Raises:
        InputError: as `find_column`.
    """
    seen = records.rows[:LOOKED_AT]
    repeating = {
        name
        for name in records.columns
        if 1 < len({str(row.get(name)) for row in seen}) <= max(2, len(seen) // 2)
    }
    others = [name for name in records.columns if name == text]
    if said is None and not any(name.casefold() in LABELS for name in records.columns):
        others += [name for name in records.columns if name not in repeating]
    return find_column(records, "label", said, where, is_label, without=others)


def _encode(
    records: Records,
    texts: Sequence[str],
    encoding: Encoding,
    longest: int,
    path: Path,
    on_broken: str,
) -> tuple[Records, list[tuple[NDArray[np.int32], bool]], list[str]]:
    """The rows that have text in the columns `texts`, their tokens, and what was left out.

    Raises:
        InputError: at the first row without, or with half a character, unless `on_broken` is ``skip``; or if all are so.
    """
    skipped: list[str] = []
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    encoded: list[tuple[NDArray[np.int32], bool]] = []
    for number, row in enumerate(records.rows):
        try:
            encoded.append(_encode_row(row, texts, encoding, longest))
        except ValueError as error:
            message = f"{records.where(path, number)}: {error}"
            if on_broken == "refuse":
                raise InputError(message, hint=SKIP_HINT) from error
            skipped.append(message)
            continue
        rows.append(row)
        lines.append(records.lines[number])
    if not rows:
        raise InputError(f"{path}: got no samples, want some")
    return records._replace(rows=rows, lines=lines), encoded, skipped


def _encode_row(
    row: dict[str, Any], texts: Sequence[str], encoding: Encoding, longest: int
) -> tuple[NDArray[np.int32], bool]:
    """
    Raises:
        ValueError: if there is no text of which a token is made.
    """
    for name in texts:
        if not str(row.get(name, "")).strip():
            raise ValueError(f"{name}: got nothing, want it")
    written = [str(row[name]) for name in texts]
    try:
        if len(written) == 1:
            found = encoding.encode(written[0], longest)
        else:
            found = encoding.encode_pair(written[0], written[1], longest)
    except UnicodeEncodeError as error:
        raise ValueError(f"{texts[0]}: got half a character, want text in UTF-8") from error
    if not len(found[0]):
        raise ValueError(f"{texts[0]}: got {written[0][:40]!r}, of which no token is made")
    return found


def _ragged(tokens: list[np.ndarray]) -> RaggedRows:
    offsets = np.cumsum([0, *map(len, tokens)], dtype=np.int64)
    return RaggedRows(np.concatenate(tokens).astype(np.int32), offsets)

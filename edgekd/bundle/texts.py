"""Texts of a user's table, each as a bundle's model takes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from edgekd.errors import InputError
from edgekd.learn.data.columns import USUAL
from edgekd.learn.data.columns import find_column
from edgekd.learn.data.text_csv import is_words
from edgekd.learn.formats.records import JSON_LINES
from edgekd.learn.formats.records import read_records

SUFFIXES = (".csv", ".tsv", *JSON_LINES)
"""Of files that hold a text a row; any other is one text."""


def is_table(value: str) -> bool:
    """Return whether `value` names a file of rows."""
    path = Path(value)
    try:
        return path.suffix.lower() in SUFFIXES and path.is_file()
    except (OSError, ValueError):  # too long for a name, or none
        return False


def read_table(path: Path, together: Sequence[str] = ()) -> list[bytes]:
    """The text of each row, UTF-8: of the only column, of the one that is called like texts, or that alone holds words; or
    several as a list of JSON.

    Args:
        path: the table.
        together: columns of texts that are told of together; other names serve where there are as many columns.

    Raises:
        InputError: naming the file, if it is no table or no column can be told, and the row that has no text.
    """
    records = read_records(path)
    if together:
        keys = together if set(together) <= set(records.columns) else records.columns
        if len(keys) != len(together):
            got = ", ".join(map(str, records.columns))[:100]
            raise InputError(f"{path}: got columns {got}, want {' and '.join(together)}")
        return [
            json.dumps(
                [_encode(row.get(key), key, records.where(path, at)).decode() for key in keys]
            ).encode()
            for at, row in enumerate(records.rows)
        ]
    names = [name for name in records.columns if name.casefold() in USUAL["text"]]
    only = records.columns[0] if len(records.columns) == 1 else None
    fits = (lambda cell: True) if names else is_words
    try:
        column = find_column(records, "text", only, str(path), fits)
    except InputError as error:
        raise InputError(str(error), hint="give a table of the texts alone") from error
    return [
        _encode(row.get(column), column, records.where(path, at))
        for at, row in enumerate(records.rows)
    ]


def _encode(cell: object, column: str, where: str) -> bytes:
    """
    Raises:
        InputError: if it is neither text nor a number, or half a character.
    """
    if type(cell) not in (str, int, float):
        got = "nothing" if cell is None else type(cell).__name__
        raise InputError(f"{where}: {column}: got {got}, want text")
    try:
        return str(cell).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"{where}: {column}: got half a character, want text in UTF-8") from error

"""Lists that people keep: CSV, TSV, JSON and JSON lines, plain or packed by gzip, as records with their columns; within limits."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files as disk
from edgekd import strict_json
from edgekd.errors import InputError
from edgekd.units import bytes_text

MOST_BYTES, MOST_CELL, MOST_COLUMNS = 2**29, 2**20, 2**12
"""Of the file, characters of a cell, and columns."""
DELIMITERS = ",\t;|"
JSON_LINES, JSON, DELIMITED = (".jsonl", ".ndjson"), (".json",), (".csv", ".tsv", ".txt")
PACKED = ".gz"
SUFFIXES = (*JSON_LINES, *JSON, *DELIMITED)


class Records(NamedTuple):
    """The rows of a list."""

    columns: tuple[str, ...]
    rows: list[dict[str, Any]]
    """Cells by column: text of a delimited file, values of JSON; what is missing is not there."""
    lines: list[int]
    """Where each row stands: its line, or in JSON its number."""
    place: str
    """What those numbers count: ``line`` or ``row``."""

    def where(self, path: Path, number: int) -> str:
        """``list.csv, line 7``."""
        return f"{path}, {self.place} {self.lines[number]}"


def read_records(path: Path, most: int | None = None) -> Records:
    """The rows of a list, told from the file's suffix.

    Args:
        path: a file of `SUFFIXES`.
        most: rows that are read at most; None for all.

    Raises:
        InputError: naming the file, and the line that is no row.
    """
    suffix = find_list_suffix(path)
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: got suffix {suffix!r}, want {', '.join(SUFFIXES)}")
    data = _read(path)
    if suffix in DELIMITED:
        found = _delimited(path, _text(path, data), most)
    else:
        found = _json(path, data, lines=suffix in JSON_LINES, most=most)
    if not found.rows:
        raise InputError(f"{path}: got no rows, want some")
    return found


def find_list_suffix(path: Path) -> str:
    """The suffix of a list in small letters, of one packed by gzip that before ``.gz``."""
    name = path.with_suffix("") if path.suffix.lower() == PACKED else path
    return name.suffix.lower()


def _read(path: Path) -> bytes:
    with disk.open_regular(path) as file:
        packed = path.suffix.lower() == PACKED
        try:
            data: bytes = (gzip.GzipFile(fileobj=file) if packed else file).read(MOST_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: cannot be read: {error}") from error
    if len(data) > MOST_BYTES:
        raise InputError(f"{path}: got more than {bytes_text(MOST_BYTES)}, want less")
    return data.removeprefix(b"\xef\xbb\xbf")


def _text(path: Path, data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path}, line {line}: got bytes that are not UTF-8, want a list saved as UTF-8"
        ) from error
    if "\0" in text:
        raise InputError(f"{path}: got a NUL character, want text")
    return text


def _delimited(path: Path, text: str, most: int | None) -> Records:
    """Raises InputError if there is no head, or a row has other cells than it names."""
    first = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(DELIMITERS, key=first.count)
    csv.field_size_limit(MOST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns: tuple[str, ...] = ()
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = require_head(path, cells)
                continue
            if len(cells) != len(columns):
                raise InputError(
                    f"{path}, line {reader.line_num}: got {len(cells)} cells, want {len(columns)} as in the first line"
                )
            rows.append(
                {k: cell.strip() for k, cell in zip(columns, cells, strict=True) if cell.strip()}
            )
            lines.append(reader.line_num)
            if most is not None and len(rows) >= most:
                break
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: {error}") from error
    return Records(columns, rows, lines, "line")


def require_head(path: Path, cells: list[str]) -> tuple[str, ...]:
    names = [cell.strip() for cell in cells]
    if len(names) > MOST_COLUMNS:
        raise InputError(f"{path}: got {len(names)} columns, want at most {MOST_COLUMNS}")
    if any(is_number(name) for name in names):
        raise InputError(
            f"{path}: got {', '.join(names[:3])} in the first line, want the names of the columns"
        )
    for name in names:
        if not name or names.count(name) > 1 or not name.isprintable():
            raise InputError(f"{path}: got a column called {name!r}, want each name once")
    return tuple(names)


def _json(path: Path, data: bytes, *, lines: bool, most: int | None) -> Records:
    numbered = list(enumerate(data.split(b"\n"), 1)) if lines else [(1, data)]
    rows: list[dict[str, Any]] = []
    places: list[int] = []
    for number, part in numbered:
        if not part.strip():
            continue
        where = f"{path}, line {number}" if lines else str(path)
        try:
            value = strict_json.loads(part)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: got no JSON: {error}") from error
        found = [value] if lines else value
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            want = "an object" if lines else "a list of objects"
            raise InputError(f"{where}: got {type(value).__name__}, want {want}")
        for i, each in enumerate(found, 1):
            rows.append({k: item for k, item in each.items() if item is not None})
            places.append(number if lines else i)
        if most is not None and len(rows) >= most:
            break
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    return Records(columns, rows, places, "line" if lines else "row")


def is_number(value: Any) -> bool:
    """Return whether a cell is a finite number, as JSON or as text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return False
    try:
        return abs(float(value)) < float("inf")
    except (ValueError, OverflowError):
        return False

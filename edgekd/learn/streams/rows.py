"""Rows of texts one after the other, never all at once: files of lists and of running text, a hub's, a function's, a pipe's."""

from __future__ import annotations

import csv
import gzip
import itertools
import sys
import zlib
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files as disk
from edgekd import strict_json
from edgekd.errors import InputError
from edgekd.learn import hub
from edgekd.learn.data import hub_lists
from edgekd.learn.data.documents import TEXTS
from edgekd.learn.formats import parquet
from edgekd.learn.formats.records import DELIMITED
from edgekd.learn.formats.records import DELIMITERS
from edgekd.learn.formats.records import JSON_LINES
from edgekd.learn.formats.records import PACKED
from edgekd.learn.formats.records import find_list_suffix
from edgekd.learn.formats.records import require_head
from edgekd.learn.source import locate
from edgekd.learn.source import need_package
from edgekd.learn.streams.own_function import call_function
from edgekd.units import bytes_text

PIPE, FUNCTION = "-", "python:"
MOST_LINE, MOST_PIECE = 2**24, 2**20
"""Bytes of a line, and of running text that are one document."""
LISTS = (*JSON_LINES, ".csv", ".tsv")
SUFFIXES = (*parquet.SUFFIXES, *LISTS, *(f"{each}{PACKED}" for each in LISTS))
"""Of files in a folder or on the hub."""


class StreamRow(NamedTuple):
    """A row of a stream."""

    cells: dict[str, Any]
    place: str
    """What it is called in a message."""
    fault: str = ""
    """Why it is none."""


class RowStream(NamedTuple):
    """Rows in their order."""

    rows: Iterator[StreamRow]
    has_end: bool
    """Whether it is known to have one."""
    commit: str = ""
    """Of a name on the hub."""


class RowWords(NamedTuple):
    """What may be said of a stream beside its name."""

    split: str = "train"
    """Of a folder or a name on the hub whose files name splits: which is read."""
    commit: str = ""
    """Of a name on the hub: at which an earlier call read it; empty for where it stands."""
    data_dir: Path | None = None
    allow_code: bool = False
    allow_download: bool = False


def open_rows(reference: str, words: RowWords) -> RowStream:
    """Open a stream; nothing is read before its rows are asked for.

    Args:
        reference: a file or folder of JSON lines, CSV, Parquet, Arrow or running text; a name on the hub; ``-``, JSON lines
            on standard input; or ``python:package.module:function``, which yields texts or mappings, as a stream of
            `datasets` does.
        words: what else is said.

    Raises:
        InputError: if there is no such stream, or it needs leave.
    """
    if reference == PIPE:
        return RowStream(_read_json_lines(sys.stdin.buffer, "standard input"), False)
    if reference.startswith(FUNCTION):
        return _call_function(reference, words)
    name = hub_lists.find_name(reference, words.data_dir)
    if name is not None:
        return _open_hub(reference, name, words)
    place = locate(reference, words.data_dir)
    if not place.is_dir():
        return RowStream(_read_file(place), True)
    return RowStream(_read_files(_list_folder(place, words.split)), True)


def _open_hub(reference: str, name: tuple[str, str], words: RowWords) -> RowStream:
    hub_lists.require_leave(reference, words.data_dir, words.allow_download)
    need_package("huggingface_hub", "hub", reference)
    commit = words.commit or hub.find_commit(name[0])
    listed = [path for path, _ in hub_lists.list_inside(name, commit, SUFFIXES)]
    by_split: dict[str, list[str]] = {}
    for path in sorted(listed):
        by_split.setdefault(parquet.name_split_of(Path(path)), []).append(path)
    chosen = _choose_split(by_split, words.split, reference)

    def fetch() -> Iterator[Path]:
        for path in chosen:  # one after the other: the first is read before the second is asked for
            yield hub.fetch_files(name[0], commit, [path]) / path

    return RowStream(_read_files(fetch()), True, commit)


def _list_folder(place: Path, split: str) -> list[Path]:
    """The files of a split below a folder: lists, or else running text."""
    lists = parquet.split_files(place, SUFFIXES)
    if lists:
        return _choose_split(lists, split, str(place))
    texts = parquet.split_files(place, TEXTS)
    if not texts:
        raise InputError(f"{place}: got no file of {', '.join((*SUFFIXES, *TEXTS))}, want some")
    return sorted(path for each in texts.values() for path in each)


def _choose_split(found: dict[str, list[Any]], split: str, where: str) -> list[Any]:
    chosen = found.get(split) or (found.get("") if set(found) == {""} else None)
    if not chosen:
        got = ", ".join(sorted(found)) or f"no file of {', '.join(SUFFIXES)}"
        raise InputError(f"{where}: got {got}, want the split {split!r}", hint="--from-split NAME")
    return chosen


def _read_files(paths: Any) -> Iterator[StreamRow]:
    for path in paths:
        yield from _read_file(path)


def _read_file(path: Path) -> Iterator[StreamRow]:
    suffix = find_list_suffix(path)
    if suffix in parquet.SUFFIXES:
        need_package("pyarrow", "hub", str(path))
        for number, cells in enumerate(parquet.read_records(path), 1):
            yield StreamRow(cells, f"{path}, row {number}")
        return
    readers: dict[str, Callable[[Any, str], Iterator[StreamRow]]] = {
        **dict.fromkeys(JSON_LINES, _read_json_lines),
        **dict.fromkeys(DELIMITED, _read_delimited),
        **dict.fromkeys(TEXTS, _read_texts),
    }
    if suffix not in readers:
        raise InputError(f"{path}: got suffix {suffix!r}, want one of: {', '.join(readers)}")
    with disk.open_regular(path) as file:
        packed = path.suffix.lower() == PACKED
        yield from readers[suffix](gzip.GzipFile(fileobj=file) if packed else file, str(path))


def _read_lines(file: Any, where: str, most: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines with their numbers; of one that is too long, as much as shows it."""
    number, begins = 0, True
    while True:
        try:
            part = file.readline(most + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{where}: cannot be read: {error}") from error
        if not part:
            return
        if begins:
            number += 1
            yield number, part
        begins = part.endswith(b"\n")


def _read_json_lines(file: Any, where: str) -> Iterator[StreamRow]:
    for number, line in _read_lines(file, where, MOST_LINE):
        place = f"{where}, line {number}"
        if not line.strip():
            continue
        if len(line) > MOST_LINE:
            yield StreamRow(
                {}, place, f"got more than {bytes_text(MOST_LINE)}, want a shorter line"
            )
            continue
        try:
            value = strict_json.loads(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
        except (ValueError, RecursionError) as error:
            yield StreamRow({}, place, f"got no JSON: {error}")
            continue
        if not isinstance(value, dict):
            yield StreamRow({}, place, f"got {type(value).__name__}, want an object")
            continue
        yield StreamRow({key: each for key, each in value.items() if each is not None}, place)


def _read_delimited(file: Any, where: str) -> Iterator[StreamRow]:
    """Bytes that are no UTF-8 stay as halves of characters, which no text may have: their row is named."""
    lines = (
        line.decode("utf-8", "surrogateescape") for _, line in _read_lines(file, where, MOST_LINE)
    )
    first = next((line for line in lines if line.strip("\r\n")), "").removeprefix("\ufeff")
    csv.field_size_limit(MOST_LINE)
    reader = csv.reader(itertools.chain([first], lines), delimiter=max(DELIMITERS, key=first.count))
    columns: tuple[str, ...] = ()
    try:
        for cells in reader:
            place = f"{where}, line {reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = require_head(Path(where), cells)
            elif len(cells) != len(columns):
                yield StreamRow(
                    {}, place, f"got {len(cells)} cells, want {len(columns)} as in the first line"
                )
            else:
                pairs = zip(columns, cells, strict=True)
                yield StreamRow({key: cell.strip() for key, cell in pairs if cell.strip()}, place)
    except csv.Error as error:
        raise InputError(f"{where}, line {reader.line_num}: {error}") from error


def _read_texts(file: Any, where: str) -> Iterator[StreamRow]:
    """A file that is longer than `MOST_PIECE` is several documents, each of whole lines where lines are shorter."""
    start, rest = 0, b""
    while True:
        data = rest + file.read(MOST_PIECE - len(rest))
        if not data and start:
            return
        rest = b""
        if len(data) == MOST_PIECE:
            stop = data.rfind(b"\n") + 1 or _end_of_character(data)
            data, rest = data[:stop], data[stop:]
        place = f"{where}, from byte {start}" if start or rest else where
        try:
            yield StreamRow({"text": data.removeprefix(b"\xef\xbb\xbf").decode()}, place)
        except UnicodeDecodeError as error:
            got = f"byte {data[error.start]:#04x} at {start + error.start}, which is no UTF-8"
            yield StreamRow({}, place, f"got {got}, want text in UTF-8")
        if not data:
            return
        start += len(data)


def _end_of_character(data: bytes) -> int:
    """Where the last whole character of UTF-8 ends, if its text is some."""
    start = next(
        (at for at in range(len(data) - 1, len(data) - 5, -1) if data[at] & 0xC0 != 0x80), 0
    )
    return start or len(data)


def _call_function(reference: str, words: RowWords) -> RowStream:
    given, has_end = call_function(
        reference.removeprefix(FUNCTION), "row", allow_code=words.allow_code
    )
    return RowStream(_read_rows(given), has_end)


def _read_rows(given: Iterator[tuple[Any, str]]) -> Iterator[StreamRow]:
    for row, place in given:
        row = {"text": row} if isinstance(row, str) else row
        if isinstance(row, dict):
            yield StreamRow(
                {str(key): each for key, each in row.items() if each is not None}, place
            )
        else:
            yield StreamRow({}, place, f"got {type(row).__name__}, want text, or cells by column")

"""A list of samples in whatever form people keep it, as records: CSV, JSON, Parquet, Arrow, or a folder of the last two
as Hugging Face's `datasets` saves them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from edgekd.errors import InputError
from edgekd.learn.data.columns import name_split
from edgekd.learn.data.spooled_texts import HINT
from edgekd.learn.formats import parquet
from edgekd.learn.formats.records import MOST_BYTES
from edgekd.learn.formats.records import Records
from edgekd.learn.formats.records import find_list_suffix
from edgekd.learn.formats.records import read_records
from edgekd.learn.source import locate
from edgekd.learn.source import need_package
from edgekd.units import bytes_text

SPLIT = "split"
"""The column that says of which split of a folder a row is."""


def is_table(path: Path) -> bool:
    """Return whether a list is kept in Parquet or Arrow: a file of those, or a folder."""
    return path.is_dir() or find_list_suffix(path) in parquet.SUFFIXES


def list_files(reference: str, data_dir: Path | None) -> list[Path]:
    """The file of a list, or all of a folder.

    Raises:
        InputError: if there are none.
    """
    path = locate(reference, data_dir)
    if not path.is_dir():
        return [path]
    return sorted(file for files in _find_splits(path).values() for file in files)


def read_list(path: Path) -> Records:
    """The rows of a list.

    Of Parquet and Arrow the columns of text, numbers, and lists of those are read; a class that a column notes the name of
    stands there by its name. Of a folder with several splits column ``split`` says which a row is of, and what is neither
    for training, validation nor test is left out.

    Raises:
        InputError: naming the file that is no list, or too large.
        MachineError: if pyarrow is not installed, or memory is too small.
    """
    if not is_table(path):
        return read_records(path)
    need_package("pyarrow", "hub", str(path))
    splits = _find_splits(path) if path.is_dir() else {"": [path]}
    if set(splits) != {""}:
        splits = {name: files for name, files in splits.items() if name_split(name) is not None}
    if not splits:
        raise InputError(f"{path}: got no split for training, want some")
    total = sum(parquet.count_unpacked_bytes(file) for files in splits.values() for file in files)
    if total > MOST_BYTES:
        got = f"{bytes_text(total)} unpacked"
        raise InputError(f"{path}: got {got}, want at most {bytes_text(MOST_BYTES)}", hint=HINT)
    rows, held = [], 0
    for row in _read_rows(splits):
        rows.append(row)
        held += sum(map(_count_items, row.values()))
        if held > MOST_BYTES:  # one cell that stands there many times is stored once
            raise InputError(
                f"{path}: got more than {bytes_text(MOST_BYTES)} of cells, want less", hint=HINT
            )
    if not rows:
        raise InputError(f"{path}: got no rows, want some")
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    return Records(columns, rows, list(range(1, len(rows) + 1)), "row")


def look_at_table(path: Path, most: int) -> Records:
    """The first rows of a file of Parquet or Arrow, or of the first file of a folder.

    Raises:
        InputError: if there is no such file.
        MachineError: if pyarrow is not installed.
    """
    need_package("pyarrow", "hub", str(path))
    file = list_files(str(path), None)[0]
    rows = list(islice(parquet.read_records(file), most))
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    return Records(columns, rows, list(range(1, len(rows) + 1)), "row")


def _count_items(cell: object) -> int:
    """About its size: characters of a text, those of the parts of a list or an object, 8 of a number."""
    if isinstance(cell, list):
        return 8 + sum(map(_count_items, cell))
    if isinstance(cell, dict):
        return 8 + sum(map(_count_items, cell.values()))
    return 8 + len(cell) if isinstance(cell, str) else 8


def _find_splits(folder: Path) -> dict[str, list[Path]]:
    found = parquet.split_files(folder)
    if not found:
        raise InputError(f"{folder}: got no .parquet or .arrow file, want some")
    return found


def _read_rows(splits: dict[str, list[Path]]) -> Iterator[dict[str, Any]]:
    for name, files in splits.items():
        said = {SPLIT: name} if name else {}
        for file in files:
            for row in parquet.read_records(file):
                yield {**row, **said}

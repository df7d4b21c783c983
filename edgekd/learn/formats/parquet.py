"""Rows of Parquet and Arrow files, batch by batch: two columns with the class names, or all plain ones as records."""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from edgekd.learn.formats.memory import memory_bound
from edgekd.learn.source import need_memory

SUFFIXES = (".parquet", ".arrow")
_BATCH = 16
"""Rows unpacked at once: each may hold an image of the largest size there is."""
_PLAIN_BATCH = 1024
"""The same of rows without images."""
_SPARE_BYTES = 2**28
_ARROW_GROWTH = 4
"""An Arrow file does not say what it unpacks to: this many times its size is taken, at most."""
_SPLIT_NAMES = ("train", "validation", "valid", "val", "dev", "test")


class ParquetRows(NamedTuple):
    """Images, labels and class names of the files of one split."""

    names: list[str] | None
    """Of the classes, if the label column has them in its metadata."""
    pairs: Iterator[tuple[Any, Any, str]]
    """Image, label, and where they stand, for a message."""


def split_files(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> dict[str, list[Path]]:
    """Data files below `folder` by split: ``train-00000-of-00001.parquet``, ``train/data.arrow``.

    Files that name no split are under ``""``.

    Args:
        folder: where they lie, at any depth.
        suffixes: of those that are looked for.

    Raises:
        InputError: for a data file that is no regular file, or a link out of `folder`.
    """
    found: dict[str, list[Path]] = {}
    root = folder.resolve()
    for path in sorted(path for path in folder.rglob("*") if path.name.endswith(suffixes)):
        if path.name.startswith((".", "cache-")):
            continue
        if not path.is_file() or not path.resolve().is_relative_to(root):
            raise InputError(f"{path}: got no regular file inside {folder}, want one")
        found.setdefault(name_split_of(path.relative_to(folder)), []).append(path)
    return found


def name_split_of(path: Path) -> str:
    """A usual name among its folders or before its dash, else its folder, else that prefix."""
    prefix, dash, _ = path.name.removesuffix(".gz").rpartition(".")[0].partition("-")
    folders = path.parts[:-1]
    known = next((part for part in (*folders, prefix) if part in _SPLIT_NAMES), None)
    if known or folders:
        return known or folders[-1]
    return prefix if dash and prefix not in ("data", "part") else ""


def read_rows(paths: Sequence[Path], image: str, label: str) -> ParquetRows:
    """The columns `image` and `label` of `paths`, one file after the other.

    Raises:
        InputError: if a file is not of its form or lacks a column; also while `pairs` is read.
    """
    names = None
    for path in paths:
        with files.open_regular(path) as file:
            schema = _open(file, path, (image, label)).schema
            names = names or _class_names(schema, label)
    return ParquetRows(names, _pairs(paths, (image, label)))


def read_records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file: cells of text, numbers, lists of those and of objects of them by column, without what is missing.

    A class stands there by the name that Hugging Face's `datasets` notes for it.

    Raises (while it is read):
        InputError: if the file is not of its form.
        MachineError: if memory is too small.
    """
    with files.open_regular(path) as file, _refusing(path):
        schema = _open(file, path, ()).schema
        columns = tuple(field.name for field in schema if _is_plain(field.type))
        names = {column: _class_names(schema, column) for column in columns}
        file.seek(0)
        opened = _open(file, path, columns, _PLAIN_BATCH)
        for values in _unpacked(opened, columns, path):
            for cells in zip(*values, strict=True):
                named = zip(columns, cells, strict=True)
                yield {
                    column: _name_class(cell, names[column])
                    for column, cell in named
                    if cell is not None
                }


def count_unpacked_bytes(path: Path) -> int:
    """What a file unpacks to, as it says; of an Arrow file, which does not, its size.

    Raises:
        InputError: if it is no such file.
    """
    import pyarrow.parquet

    if path.suffix != ".parquet":
        return path.stat().st_size
    with files.open_regular(path) as file, _refusing(path):
        found = pyarrow.parquet.ParquetFile(file).metadata
        return sum(max(0, found.row_group(i).total_byte_size) for i in range(found.num_row_groups))


def _is_plain(kind: Any) -> bool:
    """Whether cells are text or numbers, lists of those, or lists of objects of those, such as messages."""
    from pyarrow import types

    if types.is_list(kind) or types.is_large_list(kind):
        kind = kind.value_type
        if types.is_struct(kind):
            return all(_is_plain(field.type) for field in kind)
    if types.is_dictionary(kind):  # a column of categories
        kind = kind.value_type
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(text or types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def _name_class(cell: Any, names: list[str] | None) -> Any:
    """A cell whose numbers are those of classes, by their names."""
    if names is None:
        return cell
    if isinstance(cell, list):
        return [_name_class(each, names) for each in cell]
    known = type(cell) is int and 0 <= cell < len(names)
    return names[cell] if known else None if cell == -1 else cell


def _pairs(paths: Sequence[Path], columns: tuple[str, str]) -> Iterator[tuple[Any, Any, str]]:
    for path in paths:
        number = 0
        with files.open_regular(path) as file, _refusing(path):
            for values in _unpacked(_open(file, path, columns), columns, path):
                for image, label in zip(*values, strict=True):
                    yield image, label, f"{path}, row {number}"
                    number += 1


def _unpacked(
    opened: _Opened, columns: tuple[str, str], path: Path
) -> Iterator[tuple[list[Any], ...]]:
    """Batch by batch the values of the columns; the file's sizes bound the memory that one takes."""
    need_memory(opened.unpacked_bytes, str(path))
    batches = opened.batches()
    while True:
        with memory_bound(2 * opened.unpacked_bytes + _SPARE_BYTES, str(path)):
            batch = next(batches, None)
            if batch is None:
                return
            values = tuple(batch.column(column).to_pylist() for column in columns)
        yield values


class _Opened(NamedTuple):
    """A Parquet or Arrow file."""

    schema: Any
    unpacked_bytes: int
    """What its largest piece unpacks to, as it says."""
    batches: Callable[[], Iterator[Any]]


def _open(file: Any, path: Path, columns: tuple[str, ...], batch: int = _BATCH) -> _Opened:
    import pyarrow
    import pyarrow.parquet

    with _refusing(path):
        if path.suffix == ".arrow":
            size_bytes = _ARROW_GROWTH * path.stat().st_size
            stream = pyarrow.ipc.open_stream(file)
            opened = _Opened(stream.schema, size_bytes, lambda: iter(stream))
        else:
            table = pyarrow.parquet.ParquetFile(file)
            groups = (table.metadata.row_group(i) for i in range(table.num_row_groups))
            size_bytes = max((group.total_byte_size for group in groups), default=0)
            if size_bytes < 0:
                raise InputError(f"{path}: got a group of {size_bytes} bytes, want 0 or more")
            opened = _Opened(
                table.schema_arrow,
                size_bytes,
                lambda: table.iter_batches(batch, columns=list(columns), use_threads=False),
            )
    for column in columns:
        if column not in opened.schema.names:
            known = ", ".join(opened.schema.names)
            raise InputError(f"{path}: got no column {column!r}, want one of: {known}")
    return opened


def list_columns(path: Path) -> list[str]:
    """Names of a file's columns.

    Raises:
        InputError: if it is no such file.
    """
    with files.open_regular(path) as file:
        return list(_open(file, path, ()).schema.names)


def count_rows(path: Path) -> int:
    """Rows of a Parquet file; 0 of an Arrow file, which does not say.

    Raises:
        InputError: if it is no such file.
    """
    import pyarrow.parquet

    if path.suffix != ".parquet":
        return 0
    with files.open_regular(path) as file, _refusing(path):
        return int(pyarrow.parquet.ParquetFile(file).metadata.num_rows)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except EdgekdError:
        raise
    except Exception as error:  # a reader fed with hostile bytes raises anything
        raise InputError(f"{path}: got no readable {path.suffix[1:]} file: {error}") from error


def _class_names(schema: Any, label: str) -> list[str] | None:
    """Return what Hugging Face's `datasets` notes about a column of classes."""
    try:
        note = json.loads((schema.metadata or {})[b"huggingface"])
        feature = note["info"]["features"][label]
        names = feature.get("feature", feature)["names"]
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return None
    usable = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return names if usable else None

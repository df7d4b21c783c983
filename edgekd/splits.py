"""One split of a data set as one file: the rows of every field, laid out as safetensors.

A field whose rows differ in length is two arrays, its values and ``<name>.offsets``. Read through memory maps, by
numpy alone, so that what is larger than memory can be trained on and a board needs nothing more.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from edgekd import files
from edgekd import units
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.field import RaggedRows
from edgekd.field import sum_lengths

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.field import Rows

TYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "U16": "uint16",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
}
"""The format's names of element types, and numpy's."""
OFFSETS = ".offsets"
MOST_HEADER_BYTES = 2**20
_BROKEN = (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
"""What a header raises in which somebody wrote anything."""
_CHUNK_ROWS, _CHUNK_BYTES, _ALIGNMENT = 1024, 2**24, 64


def write(path: Path, rows: Mapping[str, Rows], order: NDArray[np.int64]) -> None:
    """The rows at `order` of every field, a piece at a time.

    Raises:
        MachineError: if the disk is full.
        ValueError: for a type of element that the format lacks.
    """
    parts = _list_parts(rows, order)
    _require_room(path, {name: part[:2] for name, part in parts.items()})
    try:
        with path.open("wb") as file:
            _write_parts(file, parts, order)
    except OSError as error:
        raise MachineError(f"{path}: cannot be written: {error.strerror}") from error


def write_to(file: Any, rows: Mapping[str, Rows], order: NDArray[np.int64]) -> None:
    """As `write`, into a file that is open.

    Raises:
        OSError: if it cannot be written.
        ValueError: as `write`.
    """
    _write_parts(file, _list_parts(rows, order), order)


_Parts = dict[str, tuple[str, tuple[int, ...], Any]]
"""Type, shape and rows of each array of a file, by its name."""


def _list_parts(rows: Mapping[str, Rows], order: NDArray[np.int64]) -> _Parts:
    parts: _Parts = {}
    for name, each in rows.items():
        if isinstance(each, RaggedRows):
            offsets = sum_lengths(each.lengths[order])
            parts[name + OFFSETS] = "int64", offsets.shape, offsets
            shape = (int(offsets[-1]), *each.values.shape[1:])
            parts[name] = str(each.values.dtype), shape, each
        else:
            parts[name] = str(each.dtype), (len(order), *each.shape[1:]), each
    return parts


def _write_parts(file: Any, parts: _Parts, order: NDArray[np.int64]) -> None:
    file.write(_header({name: part[:2] for name, part in parts.items()}))
    for name in sorted(parts, key=lambda name: _place(name, parts[name][0])):
        source = parts[name][2]
        if name.endswith(OFFSETS):
            file.write(source.tobytes())
            continue
        for some in _pieces(source, order):
            chosen = source[some]
            file.write((chosen.values if isinstance(chosen, RaggedRows) else chosen).tobytes())


def _require_room(path: Path, forms: Mapping[str, tuple[str, tuple[int, ...]]]) -> None:
    """Raises MachineError unless the disk has room for arrays of those types and shapes."""
    import numpy as np

    need_bytes = sum(math.prod(shape) * np.dtype(kind).itemsize for kind, shape in forms.values())
    free_bytes = shutil.disk_usage(path.parent).free
    if free_bytes < need_bytes:
        free, need = (units.bytes_text(each) for each in (free_bytes, need_bytes))
        raise MachineError(
            f"{path}: got {free} free, want {need} for the samples",
            hint="free some space, or name a store on another disk: --store",
        )


def _pieces(rows: Rows, order: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """The order in pieces, of at most `_CHUNK_BYTES` unless a single row is larger."""
    import numpy as np

    if isinstance(rows, RaggedRows):
        row_bytes = math.prod(rows.values.shape[1:]) * rows.values.itemsize
        ends = np.cumsum(rows.lengths[order] * row_bytes)
    else:
        ends = np.arange(1, len(order) + 1) * math.prod(rows.shape[1:]) * rows.dtype.itemsize
    start = 0
    while start < len(order):
        passed = int(ends[start - 1]) if start else 0
        stop = int(np.searchsorted(ends, passed + _CHUNK_BYTES, side="right"))
        stop = min(max(stop, start + 1), start + _CHUNK_ROWS)
        yield order[start:stop]
        start = stop


def _place(name: str, dtype: str) -> tuple[int, str]:
    """Wide elements first, so that all are aligned."""
    import numpy as np

    return -np.dtype(dtype).itemsize, name


def _header(parts: Mapping[str, tuple[str, tuple[int, ...]]]) -> bytes:
    import numpy as np

    names, at = {value: key for key, value in TYPES.items()}, 0
    described: dict[str, Any] = {}
    for name in sorted(parts, key=lambda name: _place(name, parts[name][0])):
        dtype, shape = parts[name]
        if dtype not in names:
            raise ValueError(f"{name}: got {dtype}, want one of: {', '.join(TYPES.values())}")
        stop = at + math.prod(shape) * np.dtype(dtype).itemsize
        described[name] = {"dtype": names[dtype], "shape": list(shape), "data_offsets": [at, stop]}
        at = stop
    text = json.dumps(described, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def read(path: Path) -> dict[str, Rows]:
    """The rows of every field, mapped: they stay on disk until they are looked at.

    Raises:
        InputError: if it is no such file, or names bytes that it does not have.
    """
    import numpy as np

    try:
        with files.open_regular(path) as file:
            size_bytes = file.seek(0, 2)
            file.seek(0)
            length = int.from_bytes(file.read(8), "little")
            _require(length <= min(MOST_HEADER_BYTES, size_bytes - 8), "no header")
            header = json.loads(file.read(length))
        _require(isinstance(header, dict), "no header")
        header.pop("__metadata__", None)
        arrays = {}
        for name, about in header.items():
            dtype = np.dtype(TYPES[about["dtype"]])
            shape, (start, stop) = tuple(about["shape"]), about["data_offsets"]
            plain = all(type(n) is int and n >= 0 for n in (*shape, start, stop)) and shape
            _require(bool(plain), f"{name}: no plain numbers")
            _require(stop - start == math.prod(shape) * dtype.itemsize, f"{name}: another size")
            _require(8 + length + stop <= size_bytes, f"{name}: bytes beyond the end")
            if stop == start:
                arrays[name] = np.zeros(shape, dtype)
            else:
                arrays[name] = np.memmap(path, dtype, "r", 8 + length + start, shape)
        found = join_offsets(arrays)
        counts = {len(rows) for rows in found.values()}
        _require(len(counts) == 1, f"fields of {sorted(counts)} rows")
        return found
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}, want a split of a data set") from error
    except _BROKEN as error:
        raise InputError(f"{path}: got {error}, want a split of a data set") from error


def separate_offsets(rows: Mapping[str, Rows]) -> dict[str, NDArray[Any]]:
    """The same as plain arrays: of a field whose rows differ in length its values and ``<name>.offsets``."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, each in rows.items():
        if isinstance(each, RaggedRows):
            arrays |= {name: each.values, name + OFFSETS: each.offsets}
        else:
            arrays[name] = each
    return arrays


def join_offsets(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Rows]:
    """The rows of which `separate_offsets` made plain arrays.

    Raises:
        ValueError: if offsets are none, or stand alone.
    """
    found: dict[str, Rows] = {}
    strays = {name.removesuffix(OFFSETS) for name in arrays if name.endswith(OFFSETS)} - set(arrays)
    _require(not strays, f"offsets without values: {', '.join(sorted(strays))}")
    for name, array in arrays.items():
        if name.endswith(OFFSETS):
            continue
        offsets = arrays.get(name + OFFSETS)
        if offsets is None:
            found[name] = array
            continue
        ends = offsets.dtype == "int64" and offsets.ndim == 1 and len(offsets) > 0
        _require(bool(ends and offsets[0] == 0 and offsets[-1] == len(array)), f"{name}: offsets")
        _require(bool((offsets[1:] >= offsets[:-1]).all()), f"{name}: offsets out of order")
        found[name] = RaggedRows(array, offsets)
    return found


def _require(holds: bool, wrong: str) -> None:
    if not holds:
        raise ValueError(wrong)

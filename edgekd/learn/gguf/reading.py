"""The structure of a GGUF file of anybody: read by its own sizes, none of which is believed beyond the file's end."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np
import psutil
from numpy.typing import NDArray

from edgekd import files
from edgekd.errors import InputError
from edgekd.learn.gguf.blocks import BLOCK_TYPES
from edgekd.units import bytes_text

MAGIC, VERSIONS = b"GGUF", (2, 3)
MOST_HEADER_BYTES, MOST_ENTRIES, MOST_LIST, MOST_AXES = 2**27, 2**16, 2**22, 4
"""Of all that stands before the tensors; of metadata and of tensors; items of a list; axes of a tensor."""
_SCALARS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_TEXT, _LIST = 8, 9


class StoredTensor(NamedTuple):
    """Where a tensor lies."""

    name: str
    shape: tuple[int, ...]
    """As torch has it: the last axis is the one whose numbers lie side by side."""
    kind: int
    """Of `BLOCK_TYPES`."""
    start: int
    """First byte in the file."""
    size_bytes: int


class GgufFile(NamedTuple):
    """What stands before the tensors."""

    path: Path
    metadata: dict[str, Any]
    tensors: tuple[StoredTensor, ...]


class _Reader:
    """Takes numbers and texts from the head of a file, one behind the other."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise ValueError(f"it ends at byte {len(self.data)}, in the middle of its head")
        self.at += count
        return self.data[self.at - count : self.at]

    def scalar(self, form: str) -> Any:
        (value,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return value

    def text(self) -> str:
        return self.take(self.scalar("<Q")).decode(errors="replace")

    def value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self.text()
        if kind != _LIST:
            if kind not in _SCALARS:
                raise ValueError(f"a value of unknown type {kind}")
            return self.scalar(_SCALARS[kind])
        inner, count = self.scalar("<I"), self.scalar("<Q")
        if inner == _LIST or count > MOST_LIST:
            raise ValueError(f"a list of {count} values of type {inner}")
        return [self.value(inner) for _ in range(count)]


def read_head(path: Path) -> GgufFile:
    """What a file says of itself and where its tensors lie.

    Raises:
        InputError: if it is no GGUF file, is cut short, or holds a tensor of unknown type or outside of it.
    """
    with files.open_regular(path) as file:
        size_bytes = file.seek(0, 2)
        file.seek(0)
        data = file.read(min(size_bytes, MOST_HEADER_BYTES))
    try:
        return _parse(path, data, size_bytes)
    except (ValueError, OverflowError, MemoryError) as error:
        raise InputError(f"{path}: got no usable GGUF file: {str(error)[:200]}") from error


def _parse(path: Path, data: bytes, size_bytes: int) -> GgufFile:
    reader = _Reader(data)
    if reader.take(4) != MAGIC:
        raise ValueError("it does not begin with GGUF")
    version = reader.scalar("<I")
    if version not in VERSIONS:
        raise ValueError(f"version {version}, want one of {', '.join(map(str, VERSIONS))}")
    tensor_count, entry_count = reader.scalar("<Q"), reader.scalar("<Q")
    if max(tensor_count, entry_count) > MOST_ENTRIES:
        raise ValueError(f"{tensor_count} tensors and {entry_count} entries")
    metadata: dict[str, Any] = {}
    for _ in range(entry_count):
        name = reader.text()
        metadata[name] = reader.value(reader.scalar("<I"))
    found = [_read_place(reader) for _ in range(tensor_count)]
    alignment = metadata.get("general.alignment", 32)
    if type(alignment) is not int or not 1 <= alignment <= 2**16:
        raise ValueError(f"alignment {str(alignment)[:20]}")
    base = -(-reader.at // alignment) * alignment
    tensors = []
    end = base
    for name, shape, kind, offset in sorted(found, key=lambda each: each[3]):
        block = BLOCK_TYPES[kind]
        tensor_bytes = math.prod(shape) // block.size * block.size_bytes
        if base + offset < end or base + offset + tensor_bytes > size_bytes:
            raise ValueError(f"{name[:80]!r} lies outside of the file or over another tensor")
        end = base + offset + tensor_bytes
        tensors.append(StoredTensor(name, shape, kind, base + offset, tensor_bytes))
    if len({each.name for each in tensors}) != len(tensors):
        raise ValueError("a tensor's name stands there twice")
    return GgufFile(path, metadata, tuple(tensors))


def _read_place(reader: _Reader) -> tuple[str, tuple[int, ...], int, int]:
    name, count = reader.text(), reader.scalar("<I")
    if not 1 <= count <= MOST_AXES:
        raise ValueError(f"{name[:80]!r} with {count} axes")
    shape = tuple(reader.scalar("<Q") for _ in range(count))[::-1]
    kind, offset = reader.scalar("<I"), reader.scalar("<Q")
    if kind not in BLOCK_TYPES:
        known = ", ".join(each.name for each in BLOCK_TYPES.values())
        raise ValueError(f"{name[:80]!r} is of type {kind}, want one of {known}")
    if not all(shape) or shape[-1] % BLOCK_TYPES[kind].size:
        got = "x".join(map(str, shape))
        raise ValueError(f"{name[:80]!r} is {got}, want rows of whole blocks")
    return name, shape, kind, offset


def read_tensors(file: GgufFile) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the tensors with their names, in float32.

    Raises:
        InputError: if all of them would not fit into a third of the free memory.
    """
    need_bytes = sum(4 * math.prod(each.shape) for each in file.tensors)
    limit_bytes = psutil.virtual_memory().available // 3
    if need_bytes > limit_bytes:
        raise InputError(
            f"{file.path}: got {bytes_text(need_bytes)} in float32, want at most {bytes_text(limit_bytes)}, a third of "
            "the free memory"
        )
    with files.open_regular(file.path) as stream:
        for each in file.tensors:
            stream.seek(each.start)
            block = BLOCK_TYPES[each.kind]
            raw = np.frombuffer(stream.read(each.size_bytes), np.uint8)
            yield each.name, block.unpack(raw.reshape(-1, block.size_bytes)).reshape(each.shape)

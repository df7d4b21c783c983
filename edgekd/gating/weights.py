"""How many weights an ONNX file holds, counted without the onnx package.

Field numbers are those of onnx.proto3 (ONNX 1.23).
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterator
from pathlib import Path

from edgekd import files
from edgekd.wire import BYTES
from edgekd.wire import VARINT
from edgekd.wire import read_fields
from edgekd.wire import read_varint

MODEL_GRAPH, GRAPH_INITIALIZER, TENSOR_DIMS = 7, 5, 1


def count_weights(path: Path) -> int:
    """Values in the initializers of the main graph, of whatever type.

    Raises:
        InputError: if it is no readable file.
        ValueError: if it is no ONNX model.
    """
    with (
        files.open_regular(path) as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        return sum(math.prod(dims) for dims in _tensors(data))


def _tensors(data: mmap.mmap) -> Iterator[list[int]]:
    for number, wire, start, end in read_fields(data, 0, len(data)):
        if (number, wire) == (MODEL_GRAPH, BYTES):
            for inner, kind, first, last in read_fields(data, start, end):
                if (inner, kind) == (GRAPH_INITIALIZER, BYTES):
                    yield _dims(data, first, last)


def _dims(data: mmap.mmap, start: int, end: int) -> list[int]:
    """Its sizes, one field each or packed into one."""
    dims = []
    for number, wire, first, last in read_fields(data, start, end):
        if (number, wire) == (TENSOR_DIMS, VARINT):
            dims.append(first)
        elif (number, wire) == (TENSOR_DIMS, BYTES):
            while first < last:
                value, first = read_varint(data, first, last)
                dims.append(value)
    return dims

"""Arrays in numpy's file form from anybody: no objects, and no memory on a header's word alone."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from edgekd import files
from edgekd.errors import EdgekdError
from edgekd.errors import InputError
from edgekd.learn.source import need_memory

_KINDS = "biufUS"
_CHUNK_BYTES = 2**20
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def list_npz(path: Path) -> list[str]:
    """List the names of the arrays in an .npz file, in its order.

    Raises:
        InputError: if it is no zip file.
    """
    with files.open_regular(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                names = [info.filename for info in archive.infolist()]
        except Exception as error:  # the parser of zip raises anything
            raise InputError(f"{path}: got no readable .npz file: {error}") from error
    return [name.removesuffix(".npy") for name in names if name.endswith(".npy")]


def read_npz(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """Read the arrays `names` that an .npz file holds; the others are not touched.

    Raises:
        InputError: if it is no zip file, is cut short, or an array has objects in it, a header
            that its bytes do not bear out, or a form that is not plain.
        MachineError: if the arrays do not fit into memory.
    """
    with files.open_regular(path) as file:
        try:
            with zipfile.ZipFile(file) as archive:
                infos = {info.filename: info for info in archive.infolist()}
                wanted = [name for name in names if f"{name}.npy" in infos]
                size_bytes = sum(infos[f"{name}.npy"].file_size for name in wanted)
                need_memory(size_bytes, str(path))
                arrays = {}
                for name in wanted:
                    info = infos[f"{name}.npy"]
                    with archive.open(info) as member:
                        arrays[name] = read(member, info.file_size, f"{path}: {name}")
                return arrays
        except EdgekdError:
            raise
        except Exception as error:  # the parsers of zip and of headers raise anything
            raise InputError(f"{path}: got no readable .npz file: {error}") from error


def read(stream: IO[bytes], size_bytes: int, where: str) -> np.ndarray:
    """The one array of an .npy stream.

    Takes the memory of the array and a megabyte, no more, whatever the stream holds.

    Args:
        stream: at its start.
        size_bytes: how many bytes it has; they must be what the header says.
        where: how to call it in a message.

    Raises:
        InputError: for objects, records, a lying header or missing bytes.
        Exception: whatever numpy's parser raises for what is no .npy stream.
    """
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise InputError(f"{where}: got .npy version {version}, want 1.0 or 2.0")
    shape, is_fortran, dtype = _HEADERS[version](stream)
    if dtype.kind not in _KINDS or dtype.subdtype is not None:
        raise InputError(f"{where}: got elements of type {dtype}, want plain numbers or text")
    want_bytes = math.prod(shape) * dtype.itemsize
    left_bytes = size_bytes - stream.tell()
    if min(shape, default=0) < 0 or want_bytes != left_bytes:
        raise InputError(
            f"{where}: got {left_bytes} bytes, want {want_bytes} as its header {list(shape)} says"
        )
    array = np.empty(math.prod(shape), dtype)  # pages that are not written to take no memory
    got_bytes = _fill(array, stream)
    if got_bytes != want_bytes or stream.read(1):
        raise InputError(f"{where}: got {got_bytes} bytes, want {want_bytes}")
    return array.reshape(shape, order="F" if is_fortran else "C")


def _fill(array: np.ndarray, stream: IO[bytes]) -> int:
    """Read the bytes of `array` from `stream`; how many there were."""
    held = array.view(np.uint8) if array.nbytes else np.empty(0, np.uint8)
    got_bytes = 0
    while got_bytes < len(held):
        chunk = stream.read(min(_CHUNK_BYTES, len(held) - got_bytes))
        if not chunk:
            break
        held[got_bytes : got_bytes + len(chunk)] = np.frombuffer(chunk, np.uint8)
        got_bytes += len(chunk)
    return got_bytes

"""IDX files, the format of MNIST: a magic number, the sizes of the axes, then the bytes."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from edgekd import files
from edgekd.errors import InputError

LIMIT_BYTES = 2**30
"""More than this in one file is refused, whatever its header says."""
_UINT8 = 0x08
_CHUNK_BYTES = 2**24


def read(path: Path) -> np.ndarray:
    """The uint8 array of an IDX file, raw or gzipped.

    No more is decompressed than the header promises, and no memory is taken on its word alone.

    Raises:
        InputError: if the file is missing, no regular file, not IDX, cut short or too long.
    """
    with files.open_regular(path) as file:
        zipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            stream: BufferedIOBase = gzip.GzipFile(fileobj=file) if zipped else file
            return _read(stream, str(path))
        except (OSError, EOFError, zlib.error) as error:
            raise InputError(f"{path}: cannot be decompressed: {error}") from error


def _read(stream: BufferedIOBase, where: str) -> np.ndarray:
    magic = stream.read(4)
    if len(magic) < 4 or magic[:3] != bytes((0, 0, _UINT8)) or not 1 <= magic[3] <= 4:
        raise InputError(f"{where}: got no IDX file of unsigned bytes, want one")
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise InputError(f"{where}: got a header that is cut short, want {magic[3]} sizes")
    shape = struct.unpack(f">{magic[3]}I", sizes)
    want_bytes = math.prod(shape)
    if want_bytes > LIMIT_BYTES:
        raise InputError(f"{where}: got a header of {want_bytes} bytes, want {LIMIT_BYTES} at most")
    data = bytearray()
    while chunk := stream.read(min(_CHUNK_BYTES, want_bytes + 1 - len(data))):
        data += chunk
    if len(data) != want_bytes:
        got = len(data) if len(data) < want_bytes else "more"
        raise InputError(f"{where}: got {got} bytes, want {want_bytes} as its header says")
    return np.frombuffer(data, np.uint8).reshape(shape)

"""A model's messages written anew, piece by piece, with other contents of some of its tensors; no weight is held in memory."""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edgekd import files
from edgekd.admission import message as fields
from edgekd.admission.message import Child
from edgekd.admission.message import Message
from edgekd.admission.message import Reader
from edgekd.wire import BYTES
from edgekd.wire import encode_varint

WHOLE_DEPTH = 0
"""Of the message that is the file itself; of a weight of the main graph `WEIGHT_DEPTH`."""
WEIGHT_DEPTH = 2


class FilePiece(NamedTuple):
    """Bytes of the file to come: given, or a part of the model or of the file that `location` names."""

    size_bytes: int
    data: bytes = b""
    start: int = 0
    location: str = ""


class TensorChange(NamedTuple):
    """What becomes of one tensor."""

    dropped: Collection[int]
    """Its fields that are left out."""
    pieces: list[FilePiece]
    """What stands before those that stay."""


ChangeTensor = Callable[[Reader, Child, Message, int], TensorChange | None]
"""Reader, a tensor, what it says, and how deep it lies, to what becomes of it; None where it stays."""


@contextlib.contextmanager
def map_model(path: Path) -> Iterator[mmap.mmap]:
    """A file's bytes, mapped.

    Raises:
        InputError: if it is no readable regular file.
    """
    with (
        files.open_regular(path) as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
    ):
        yield data


def rewrite(data: mmap.mmap, change: ChangeTensor) -> list[FilePiece]:
    """The pieces of a model that was examined (`edgekd.admission.examine`).

    Raises:
        ValueError: if the bytes are no message; and as `change` does.
    """
    whole = Child(0, "model", ((0, len(data)),))
    return _rewrite(Reader(data), change, whole, WHOLE_DEPTH)


def _rewrite(reader: Reader, change: ChangeTensor, child: Child, depth: int) -> list[FilePiece]:
    """One message."""
    found = reader.message(child, depth)
    changed = change(reader, child, found, depth) if child.kind == "tensor" else None
    dropped, pieces = (set(changed.dropped), [*changed.pieces]) if changed else (set[int](), [])
    inside = {number for number, (kind, _) in fields.CHILDREN[child.kind].items()}
    for start, end in child.spans:
        at = start
        for field in reader.fields(((start, end),)):
            carries = field.wire == BYTES and field.number in inside
            if field.number not in dropped and not carries:
                pieces.append(FilePiece(field.end - at, start=at))
            at = field.end
    for inner in found.children:
        if inner.number not in dropped:
            content = _rewrite(reader, change, inner, depth + 1)
            pieces += [give_bytes(encode_tag(inner.number, sum_bytes(content))), *content]
    return pieces


def encode_tag(number: int, size_bytes: int) -> bytes:
    """What stands before the content of a field of bytes."""
    return encode_varint(number << 3 | BYTES) + encode_varint(size_bytes)


def give_bytes(data: bytes) -> FilePiece:
    """A piece that is known."""
    return FilePiece(len(data), data)


def sum_bytes(pieces: list[FilePiece]) -> int:
    """Bytes of all pieces together."""
    return sum(piece.size_bytes for piece in pieces)


def read_piece(piece: FilePiece, data: mmap.mmap) -> bytes:
    """The bytes of a piece that is given or lies in the model."""
    return piece.data or data[piece.start : piece.start + piece.size_bytes]

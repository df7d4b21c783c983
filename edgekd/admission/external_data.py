"""A model whose weights lie beside it, made one file that holds all.

What an engine is handed never names another file. The weights are read here, from plain files inside the
model's own folder, and copied to where they are used; links are not followed, and no byte is taken that
the weight's dimensions do not account for.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from edgekd import admission
from edgekd import files
from edgekd.admission import message as fields
from edgekd.admission.message import Child
from edgekd.admission.message import Message
from edgekd.admission.message import Reader
from edgekd.admission.rewriting import FilePiece
from edgekd.admission.rewriting import TensorChange
from edgekd.admission.rewriting import encode_tag
from edgekd.admission.rewriting import give_bytes
from edgekd.admission.rewriting import map_model
from edgekd.admission.rewriting import read_piece
from edgekd.admission.rewriting import rewrite
from edgekd.admission.rewriting import sum_bytes
from edgekd.errors import InputError

BITS = {
    **dict.fromkeys((25, 26), 2),
    **dict.fromkeys((21, 22, 23), 4),
    **dict.fromkeys((2, 3, 9, 17, 18, 19, 20, 24), 8),
    **dict.fromkeys((4, 5, 10, 16), 16),
    **dict.fromkeys((1, 6, 12), 32),
    **dict.fromkeys((7, 11, 13, 14), 64),
    15: 128,
}
"""By TensorProto.DataType, of one element; texts have no fixed size and cannot lie outside."""
CONTENTS = {4, 5, 6, 7, 9, 10, 11, fields.TENSOR_EXTERNAL, fields.TENSOR_LOCATION}
"""Fields of a tensor that hold its elements or say where they are."""
CHUNK_BYTES = 2**20
LONGEST_NUMBER = 18
"""Digits of an offset."""


def embed_weights(path: Path, goal: Path) -> Path:
    """`path` itself if it holds all of its weights, else `goal`, written with them inside.

    A file that is not admitted for another reason is given back as it is: whoever admits it says why.

    Raises:
        InputError: if weights lie outside the model's folder, behind a link, or are not what their
            dimensions say.
        MachineError: if the disk refuses.
    """
    try:
        if not admission.examine(path):
            return path
    except ValueError:
        return path
    with map_model(path) as data:
        try:
            pieces = _list_pieces(data, path.parent)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error
        size_bytes = sum_bytes(pieces)
        if size_bytes > admission.MAX_BYTES:
            raise InputError(
                f"{path}: got {size_bytes} bytes with its weights, want {admission.MAX_BYTES} at most"
            )

        def write(temporary: Path) -> None:
            with temporary.open("r+b") as written:
                os.fchmod(written.fileno(), 0o600)
                for piece in pieces:
                    for part in _bytes_of(piece, data, path):
                        written.write(part)

        files.write_through(goal, write, size_bytes=size_bytes)
    return goal


def digest_files(path: Path) -> dict[str, str]:
    """SHA-256 of each file that the model names beside it, as ``beside/LOCATION``: what is built from it changes with
    them. None of a model that holds all of its weights, or is refused where it is read.

    Raises:
        InputError: as `embed_weights`.
    """
    try:
        if not admission.examine(path):
            return {}
    except ValueError:
        return {}
    with map_model(path) as data:
        try:
            pieces = _list_pieces(data, path.parent)
            locations = sorted({piece.location for piece in pieces if piece.location})
            return {f"beside/{each}": _digest(path.parent, each) for each in locations}
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error


def _list_pieces(data: mmap.mmap, folder: Path) -> list[FilePiece]:
    """The pieces of a model with weights from other files put in."""

    def change(reader: Reader, child: Child, tensor: Message, depth: int) -> TensorChange | None:
        return (
            TensorChange(CONTENTS, _find_weight(reader, tensor, folder))
            if _is_external(tensor)
            else None
        )

    return rewrite(data, change)


def _find_weight(reader: Reader, tensor: Message, folder: Path) -> list[FilePiece]:
    """Field and content of ``raw_data``."""
    entries: dict[str, str] = {}
    for child in tensor.children:
        pair = reader.message(child, 0)
        entries[pair.text(1).decode()] = pair.text(2).decode()
    name = tensor.text(fields.TENSOR_NAME).decode(errors="replace")
    bits = BITS.get(tensor.numbers.get(fields.TENSOR_TYPE, [0])[-1])
    if bits is None:
        raise ValueError(f"weight {name!r:.80}: got an element type without a size")
    want = -(-admission.elements_of(tensor.numbers.get(fields.TENSOR_DIMS, [])) * bits // 8)
    location = entries.get("location", "")
    descriptor = open_inside(folder, location)
    held = os.fstat(descriptor).st_size
    os.close(descriptor)
    start = _whole(entries.get("offset", "0"), "offset")
    size_bytes = _whole(entries["length"], "length") if "length" in entries else held - start
    if start + size_bytes > held or size_bytes != want:
        raise ValueError(
            f"weight {name!r:.80}: got {size_bytes} bytes at {start} of {location!r:.80}, which "
            f"has {held}, want {want}"
        )
    tag = give_bytes(encode_tag(fields.TENSOR_RAW, size_bytes))
    return [tag, FilePiece(size_bytes, start=start, location=location)]


def _is_external(tensor: Message) -> bool:
    return any(tensor.numbers.get(fields.TENSOR_LOCATION, ())) or bool(tensor.children)


def _bytes_of(piece: FilePiece, data: mmap.mmap, path: Path) -> Iterator[bytes]:
    if not piece.location:
        yield read_piece(piece, data)
        return
    left = piece.size_bytes
    with os.fdopen(open_inside(path.parent, piece.location), "rb") as file:
        file.seek(piece.start)
        while left and (part := file.read(min(left, CHUNK_BYTES))):
            left -= len(part)
            yield part
    if left:
        raise InputError(f"{path}: {piece.location!r:.80} was changed while it was read")


def _digest(folder: Path, location: str) -> str:
    with os.fdopen(open_inside(folder, location), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_inside(folder: Path, location: str) -> int:
    """A descriptor of the regular file `location` below `folder`, reached without a link.

    Raises:
        ValueError: if it lies elsewhere, is missing, or is another kind of file.
    """
    parts = [part for part in location.split("/") if part != "."]
    plain = "\\" not in location and "\0" not in location
    if not plain or not parts or not {"", ".."}.isdisjoint(parts):
        raise ValueError(f"got weights in {location!r:.200}, want a file in the model's own folder")
    descriptor = os.open(folder, os.O_RDONLY)
    for part in parts:
        try:
            inner = os.open(part, os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=descriptor)
        except OSError as error:
            raise ValueError(
                f"got weights in {location!r:.200}: {error.strerror}, want a file in the model's own "
                "folder, not a link"
            ) from error
        finally:
            os.close(descriptor)
        descriptor = inner
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1:
        os.close(descriptor)
        raise ValueError(
            f"got weights in {location!r:.200}, want a regular file that has no other name"
        )
    return descriptor


def _whole(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER):
        raise ValueError(f"got the {what} {text[:40]!r} of a weight, want a whole number")
    return int(text)

"""Weights taken out of a model: into a file beside it, or left to another model that holds the same bytes.

An engine maps a file of weights and reads it where it lies; those inside a model's message it copies.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import tempfile
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from edgekd.admission import message as fields
from edgekd.admission.message import Child
from edgekd.admission.message import Message
from edgekd.admission.message import Reader
from edgekd.admission.rewriting import WEIGHT_DEPTH
from edgekd.admission.rewriting import ChangeTensor
from edgekd.admission.rewriting import FilePiece
from edgekd.admission.rewriting import TensorChange
from edgekd.admission.rewriting import encode_tag
from edgekd.admission.rewriting import give_bytes
from edgekd.admission.rewriting import map_model
from edgekd.admission.rewriting import read_piece
from edgekd.admission.rewriting import rewrite
from edgekd.wire import VARINT
from edgekd.wire import encode_varint

LEAST_BYTES = 1024
"""Of a weight that is taken out: shapes and single numbers stay, engines read them before they open a file."""
ALIGNMENT = 64
"""Of a weight in a file of weights."""
IN_FILE = 1
"""TensorProto.EXTERNAL."""
KEY, VALUE = 1, 2


class WeightPlace(NamedTuple):
    """Where a weight lies."""

    location: str
    offset: int
    size_bytes: int


def detach_weights(path: Path, folder: Path) -> tuple[bytes, str]:
    """A model without its weights, and the name of the file in `folder` that holds them: its SHA-256.

    Args:
        path: a model that was admitted.
        folder: where that file is written.

    Raises:
        MachineError: if the disk refuses.
    """
    descriptor, name = tempfile.mkstemp(dir=folder)
    scratch, digest = Path(name), hashlib.sha256()
    offsets: dict[tuple[int, int], int] = {}
    with os.fdopen(descriptor, "wb") as goal, map_model(path) as data:

        def put(block: bytes) -> None:
            goal.write(block)
            digest.update(block)

        def place(start: int, end: int) -> WeightPlace:
            put(bytes(-goal.tell() % ALIGNMENT))
            offsets[start, end] = goal.tell()
            put(data[start:end])
            return WeightPlace("", offsets[start, end], end - start)

        rewrite(data, _change_weights(place))
        location = digest.hexdigest()
        graph = _write_graph(
            data, lambda start, end: WeightPlace(location, offsets[start, end], end - start)
        )
    scratch.replace(folder / location)
    return graph, location


def share_weights(path: Path, holder: Path, location: str) -> bytes:
    """A model that names those of its weights which `holder` holds byte for byte, at their places there.

    Args:
        path: a model that was admitted.
        holder: another.
        location: how it is called beside the model.
    """
    held = locate_weights(holder)
    with map_model(path) as data:

        def place(start: int, end: int) -> WeightPlace | None:
            at = held.get(hashlib.sha256(data[start:end]).digest())
            return None if at is None else WeightPlace(location, at, end - start)

        return _write_graph(data, place)


def locate_weights(path: Path) -> dict[bytes, int]:
    """Where in a model each of its weights stands, by its SHA-256."""
    found: dict[bytes, int] = {}
    with map_model(path) as data:

        def place(start: int, end: int) -> None:
            found.setdefault(hashlib.sha256(data[start:end]).digest(), start)

        rewrite(data, _change_weights(place))
    return found


def require_beside(path: Path, known: Collection[str]) -> None:
    """Hold a model to weights of its own and those in files of these names; an engine sees to it that they lie within.

    Raises:
        ValueError: naming another file.
    """
    named: set[str] = set()

    def look(reader: Reader, child: Child, tensor: Message, depth: int) -> None:
        for pair in (reader.message(each, 0) for each in tensor.children):
            if pair.text(KEY) == b"location":
                named.add(pair.text(VALUE).decode(errors="replace"))

    with map_model(path) as data:
        rewrite(data, look)
    if others := sorted(named - {*known}):
        raise ValueError(f"{path}: got weights in {others[0]!r:.80}, want them in its own files")


def _change_weights(place: Callable[[int, int], WeightPlace | None]) -> ChangeTensor:
    """Names each weight of the main graph for which `place`, given where its bytes lie, says where it is."""

    def change(reader: Reader, child: Child, tensor: Message, depth: int) -> TensorChange | None:
        raw = [each for each in reader.fields(child.spans) if each.number == fields.TENSOR_RAW]
        if depth != WEIGHT_DEPTH or len(raw) != 1 or raw[0].end - raw[0].start < LEAST_BYTES:
            return None
        found = place(raw[0].start, raw[0].end)
        return None if found is None else TensorChange({fields.TENSOR_RAW}, _name_place(found))

    return change


def _write_graph(data: mmap.mmap, place: Callable[[int, int], WeightPlace | None]) -> bytes:
    pieces = rewrite(data, _change_weights(place))
    return b"".join(read_piece(piece, data) for piece in pieces)


def _name_place(place: WeightPlace) -> list[FilePiece]:
    """The fields that say where a weight lies."""
    said: Mapping[str, object] = {
        "location": place.location,
        "offset": place.offset,
        "length": place.size_bytes,
    }
    pieces = []
    for key, value in said.items():
        texts = ((KEY, key.encode()), (VALUE, str(value).encode()))
        entry = b"".join(encode_tag(number, len(text)) + text for number, text in texts)
        pieces.append(give_bytes(encode_tag(fields.TENSOR_EXTERNAL, len(entry)) + entry))
    where = encode_varint(fields.TENSOR_LOCATION << 3 | VARINT) + encode_varint(IN_FILE)
    return [*pieces, give_bytes(where)]

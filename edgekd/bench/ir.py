"""Whether a foreign OpenVINO IR, XML and weights, may be handed to the engine: structure only.

Standard library alone: it runs in the worker that will load it. The engine's own XML parser is native
code that believes what the file says of offsets, sizes and shapes, so these are held against the weights,
and each other; and it never ends, or falls, on layers that wait for each other.
"""

from __future__ import annotations

import math
import xml.parsers.expat
from pathlib import Path

from edgekd import files
from edgekd.admission import MAX_DIMS
from edgekd.admission import MAX_ELEMENTS
from edgekd.admission.order import has_cycle

GRAPH, WEIGHTS = "model.xml", "model.bin"
MAX_XML_BYTES = 64 * 2**20
MAX_DEPTH = 64
ROOT_TAG = "net"
WANT = "want an OpenVINO IR"
CONSTANT = "Const"
BITS = {
    "u1": 1,
    **dict.fromkeys(("u2", "i2"), 2),
    "u3": 3,
    **dict.fromkeys(("u4", "i4", "nf4", "f4e2m1"), 4),
    "u6": 6,
    **dict.fromkeys(("boolean", "u8", "i8", "f8e4m3", "f8e5m2", "f8e8m0", "string"), 8),
    **dict.fromkeys(("u16", "i16", "f16", "bf16"), 16),
    **dict.fromkeys(("u32", "i32", "f32"), 32),
    **dict.fromkeys(("u64", "i64", "f64"), 64),
}
"""Of one element, by OpenVINO's name of its type; of a text at least."""


def admit(graph: Path, weights: Path) -> None:
    """Require that the pair may be loaded.

    Raises:
        InputError: if one is no readable regular file.
        ValueError: ``WHERE: got X, want Y`` for anything the engine should not be shown.
    """
    with files.open_regular(graph) as file:
        data = file.read(MAX_XML_BYTES + 1)
    if not 0 < len(data) <= MAX_XML_BYTES:
        raise ValueError(f"{graph}: got {len(data)} bytes or more, want 1 to {MAX_XML_BYTES}")
    with files.open_regular(weights) as file:
        size_bytes = file.seek(0, 2)
    look = _Look(size_bytes)
    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler = look.open
    parser.EndElementHandler = look.close
    parser.StartDoctypeDeclHandler = look.refuse
    parser.EntityDeclHandler = look.refuse
    parser.ProcessingInstructionHandler = look.refuse
    try:
        parser.Parse(data, True)
    except xml.parsers.expat.ExpatError as error:
        raise ValueError(f"{graph}: got no XML: {error}, {WANT}") from error
    except ValueError as error:
        raise ValueError(f"{graph}: {error}, {WANT}") from error


class _Look:
    """What is checked while the parser walks."""

    def __init__(self, weights_bytes: int) -> None:
        self._weights_bytes = weights_bytes
        self._depth = 0
        self._layer = ""
        self._edges: list[dict[str, set[bytes]]] = []
        """Of each network that is open: by layer, those it reads."""

    def open(self, tag: str, attributes: dict[str, str]) -> None:
        if self._depth == 0 and tag != ROOT_TAG:
            raise ValueError(f"got <{tag[:40]}>")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError("got elements nested beyond reason")
        if tag == "layer":
            self._layer = attributes.get("type", "")
        elif tag == "edges":
            self._edges.append({})
        elif tag == "edge" and self._edges:
            reader, read = attributes.get("to-layer", ""), attributes.get("from-layer", "")
            self._edges[-1].setdefault(reader, set()).add(read.encode())
        elif tag == "data" and (self._layer == CONSTANT or {"offset", "size"} <= set(attributes)):
            self._constant(attributes)

    def close(self, tag: str) -> None:
        self._depth -= 1
        if tag == "edges":
            edges = self._edges.pop()
            if has_cycle([*edges.values()], [{name.encode()} for name in edges]):
                raise ValueError("got layers that wait for each other")

    def refuse(self, *details: object) -> None:
        raise ValueError("got a DOCTYPE, an entity or a processing instruction")

    def _constant(self, attributes: dict[str, str]) -> None:
        start, size = (_whole(attributes.get(name, "")) for name in ("offset", "size"))
        if start + size > self._weights_bytes:
            raise ValueError(
                f"got weights at {start} of {size} bytes in a file of {self._weights_bytes}"
            )
        kind, shape = attributes.get("element_type", ""), attributes.get("shape", "")
        if kind not in BITS:
            raise ValueError(f"got a constant of the type {kind[:40]!r}")
        dims = [_whole(text.strip()) for text in shape.split(",")] if shape.strip() else []
        if len(dims) > MAX_DIMS or math.prod(filter(None, dims)) > MAX_ELEMENTS:
            raise ValueError(f"got a constant of the shape {shape[:80]!r}")
        if math.prod(dims) * BITS[kind] > 8 * size:
            raise ValueError(f"got a constant of the shape {shape[:80]!r} in {size} bytes")


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError(f"got the offset, size or dimension {text[:40]!r}")
    return int(text)

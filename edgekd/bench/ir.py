"""Whether a foreign OpenVINO IR, XML and weights, may be handed to the engine: structure only.

Standard library alone: it runs in the worker that will load it. The engine's own XML parser is native
code that believes what the file says of offsets and sizes, so these are held against the weights.
"""

from __future__ import annotations

import xml.parsers.expat
from pathlib import Path

from edgekd import files

GRAPH, WEIGHTS = "model.xml", "model.bin"
MAX_XML_BYTES = 64 * 2**20
MAX_DEPTH = 64
ROOT_TAG = "net"
WANT = "want an OpenVINO IR"


def admit(graph: Path, weights: Path) -> None:
    """Nothing, if the pair may be loaded.

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

    def open(self, tag: str, attributes: dict[str, str]) -> None:
        if self._depth == 0 and tag != ROOT_TAG:
            raise ValueError(f"got <{tag[:40]}>")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ValueError("got elements nested beyond reason")
        if tag == "data" and "offset" in attributes:
            start, size = (_whole(attributes.get(name, "")) for name in ("offset", "size"))
            if start + size > self._weights_bytes:
                raise ValueError(
                    f"got weights at {start} of {size} bytes in a file of {self._weights_bytes}"
                )

    def close(self, tag: str) -> None:
        self._depth -= 1

    def refuse(self, *details: object) -> None:
        raise ValueError("got a DOCTYPE, an entity or a processing instruction")


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError(f"got the offset or size {text[:40]!r}")
    return int(text)

"""The structure of a safetensors file, checked before anything is made of it.

Eight bytes of header length (little endian), a JSON object, then the tensors' bytes without a gap:
https://huggingface.co/docs/safetensors#format
"""

from __future__ import annotations

import json
from typing import Any

LARGEST_HEADER_BYTES = 16 * 2**20


def check_header(data: bytes, size_bytes: int | None = None) -> None:
    """See that the header is whole, names nothing twice and covers the bytes exactly once.

    Args:
        data: the file, or as much of its beginning as holds the longest header.
        size_bytes: of the file; None is that of `data`.

    Raises:
        ValueError: if not; the message says what is wrong.
    """
    size_bytes = len(data) if size_bytes is None else size_bytes
    length = int.from_bytes(data[:8], "little")
    body_bytes = size_bytes - 8 - length
    if size_bytes < 8 or body_bytes < 0 or length > LARGEST_HEADER_BYTES:
        raise ValueError(f"got a header of {length} bytes in a file of {size_bytes}")
    try:
        fields = json.loads(data[8 : 8 + length], object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"got a header that is no JSON: {str(error)[:80]}") from error
    if not isinstance(fields, dict):
        raise ValueError("got a header that is no JSON object")
    spans = sorted(_span(name, entry) for name, entry in fields.items() if name != "__metadata__")
    covered = 0
    for start, end in spans:
        if start != covered:
            raise ValueError(f"got tensors that overlap or leave a gap at byte {start}")
        covered = end
    if covered != body_bytes:
        raise ValueError(f"got {body_bytes} bytes of tensors, want {covered}")


def _span(name: str, entry: Any) -> tuple[int, int]:
    offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
    if not (
        isinstance(offsets, list)
        and len(offsets) == 2
        and all(type(offset) is int for offset in offsets)
        and 0 <= offsets[0] <= offsets[1]
    ):
        raise ValueError(f"got no place for the tensor {name[:80]!r} in the header")
    return offsets[0], offsets[1]


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found

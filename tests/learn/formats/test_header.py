"""The structure of safetensors files, against files that the library wrote and ones made by hand."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
import safetensors.torch
import torch

from edgekd.learn.formats import header


def made(fields: Any, body: bytes) -> bytes:
    text = json.dumps(fields).encode()
    return struct.pack("<Q", len(text)) + text + body


def entry(start: Any, end: Any) -> dict[str, Any]:
    return {"dtype": "U8", "shape": [1], "data_offsets": [start, end]}


def test_what_the_library_writes_passes() -> None:
    state = {"b": torch.zeros(3), "a": torch.zeros(2, 2, dtype=torch.int64), "e": torch.zeros(0, 3)}
    header.check_header(safetensors.torch.save(state, {"format": "pt"}))


@pytest.mark.parametrize(
    "fields, size_bytes, want",
    [
        ({"a": entry(0, 4), "b": entry(2, 6)}, 6, "overlap or leave a gap at byte 2"),
        ({"a": entry(0, 4), "b": entry(0, 4)}, 4, "overlap or leave a gap at byte 0"),
        ({"a": entry(1, 4)}, 4, "gap at byte 1"),
        ({"a": entry(0, 4)}, 3, "got 3 bytes of tensors, want 4"),
        ({"a": entry(0, 4)}, 5, "got 5 bytes of tensors, want 4"),
        ({"a": entry(4, 0)}, 4, "no place"),
        ({"a": entry(-4, 4)}, 4, "no place"),
        ({"a": entry(0.0, 4)}, 4, "no place"),
        ({"a": entry(False, 4)}, 4, "no place"),
        ({"a": {"shape": [1]}}, 0, "no place"),
        ([], 0, "no JSON object"),
    ],
)
def test_refused(fields: Any, size_bytes: int, want: str) -> None:
    with pytest.raises(ValueError, match=want):
        header.check_header(made(fields, bytes(size_bytes)))


@pytest.mark.parametrize("length", [0, 3, 7])
def test_too_short(length: int) -> None:
    with pytest.raises(ValueError, match="in a file of"):
        header.check_header(bytes(length))

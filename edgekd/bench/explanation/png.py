"""Pictures as PNG files, written by the standard library."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_SIDE = 96
"""Pixels of the longer side of what a page shows."""
GREY, RGB = 0, 2
"""Colour types (PNG 1.2, sec. 4.1.1)."""


def encode_png(pixels: NDArray[Any], most_side: int = MOST_SIDE) -> bytes:
    """A picture as a PNG file.

    Args:
        pixels: uint8 [H, W, 1] or [H, W, 3].
        most_side: of a larger one every n-th pixel is taken.

    Raises:
        ValueError: if they are of another form.
    """
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3):
        raise ValueError(f"want uint8 [H, W, 1 or 3], got {pixels.dtype} {list(pixels.shape)}")
    step = -(-max(pixels.shape[:2]) // most_side)
    pixels = np.ascontiguousarray(pixels[::step, ::step])
    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # 0: a row is not filtered
    rows[:, 1:] = pixels.reshape(height, -1)
    colour = GREY if channels == 1 else RGB
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

"""Blocks of quantized numbers as GGUF files hold them, made float32: 32 numbers with a scale, or 256 with scales of theirs.

Layouts are those of ggml (``ggml-common.h``): a block's bytes are its scales and its numbers of 4, 5, 6 or 8 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.float32]


class BlockType(NamedTuple):
    """How numbers are stored."""

    name: str
    size: int
    """Numbers of a block."""
    size_bytes: int
    unpack: Callable[[Bytes], Numbers]
    """Blocks [N, size_bytes] to their numbers [N, size]."""


def _half(blocks: Bytes, at: int) -> Numbers:
    """A float16 of each block, [N, 1]."""
    return blocks[:, at : at + 2].copy().view(np.float16).astype(np.float32)


def _nibbles(blocks: Bytes) -> NDArray[np.uint8]:
    """All low halves of bytes, then all high ones, [N, 2 * bytes]."""
    return np.concatenate([blocks & 15, blocks >> 4], axis=1)


def _fifth(blocks: Bytes) -> NDArray[np.uint8]:
    """32 single bits of 4 bytes, each as 0 or 16."""
    return np.unpackbits(blocks, axis=1, bitorder="little") * np.uint8(16)


def _float32(blocks: Bytes) -> Numbers:
    return blocks.copy().view(np.float32)


def _bfloat16(blocks: Bytes) -> Numbers:
    return (blocks.copy().view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def _q4_0(blocks: Bytes) -> Numbers:
    return _half(blocks, 0) * (_nibbles(blocks[:, 2:]).astype(np.float32) - 8)


def _q4_1(blocks: Bytes) -> Numbers:
    return _half(blocks, 0) * _nibbles(blocks[:, 4:]).astype(np.float32) + _half(blocks, 2)


def _q5_0(blocks: Bytes) -> Numbers:
    numbers = _nibbles(blocks[:, 6:]) | _fifth(blocks[:, 2:6])
    return _half(blocks, 0) * (numbers.astype(np.float32) - 16)


def _q5_1(blocks: Bytes) -> Numbers:
    numbers = _nibbles(blocks[:, 8:]) | _fifth(blocks[:, 4:8])
    return _half(blocks, 0) * numbers.astype(np.float32) + _half(blocks, 2)


def _q8_0(blocks: Bytes) -> Numbers:
    return _half(blocks, 0) * blocks[:, 2:].copy().view(np.int8).astype(np.float32)


def _scales_of_six(blocks: Bytes) -> tuple[Numbers, Numbers]:
    """Eight scales and eight offsets of 6 bits in 12 bytes, each [N, 8]."""
    low, middle, high = blocks[:, 0:4], blocks[:, 4:8], blocks[:, 8:12]
    scales = np.concatenate([low & 63, (high & 15) | ((low >> 6) << 4)], axis=1)
    offsets = np.concatenate([middle & 63, (high >> 4) | ((middle >> 6) << 4)], axis=1)
    return scales.astype(np.float32), offsets.astype(np.float32)


def _by_eights(blocks: Bytes, numbers: NDArray[np.uint8]) -> Numbers:
    """Numbers [N, 8, 32] with the scales and offsets at the head of their block."""
    scales, offsets = _scales_of_six(blocks[:, 4:16])
    scaled = (_half(blocks, 0) * scales)[..., None] * numbers.astype(np.float32)
    return (scaled - (_half(blocks, 2) * offsets)[..., None]).reshape(len(blocks), 256)


def _fours(blocks: Bytes) -> NDArray[np.uint8]:
    """128 bytes as [N, 8, 32]: of every 32 bytes the low halves, then the high ones."""
    groups = blocks.reshape(len(blocks), 4, 1, 32)
    return np.concatenate([groups & 15, groups >> 4], axis=2).reshape(len(blocks), 8, 32)


def _q4_k(blocks: Bytes) -> Numbers:
    return _by_eights(blocks, _fours(blocks[:, 16:]))


def _q5_k(blocks: Bytes) -> Numbers:
    bits = (blocks[:, 16:48, None] >> np.arange(8, dtype=np.uint8)) & np.uint8(1)  # [N, 32, 8]
    return _by_eights(blocks, _fours(blocks[:, 48:]) | bits.transpose(0, 2, 1) * np.uint8(16))


def _q6_k(blocks: Bytes) -> Numbers:
    count = len(blocks)
    low = blocks[:, :128].reshape(count, 2, 1, 64)
    low = np.concatenate([low & 15, low >> 4], axis=2).reshape(count, 2, 4, 32)
    high = blocks[:, 128:192].reshape(count, 2, 1, 32)
    shifts = np.arange(0, 8, 2, dtype=np.uint8).reshape(1, 1, 4, 1)
    numbers = (low | (((high >> shifts) & 3) << 4)).reshape(count, 16, 16)
    scales = blocks[:, 192:208].copy().view(np.int8).astype(np.float32)
    scaled = (_half(blocks, 208) * scales)[..., None] * (numbers.astype(np.float32) - 32)
    return np.asarray(scaled.reshape(count, 256), np.float32)


BLOCK_TYPES: dict[int, BlockType] = {
    0: BlockType("F32", 1, 4, _float32),
    1: BlockType("F16", 1, 2, lambda blocks: _half(blocks, 0)),
    2: BlockType("Q4_0", 32, 18, _q4_0),
    3: BlockType("Q4_1", 32, 20, _q4_1),
    6: BlockType("Q5_0", 32, 22, _q5_0),
    7: BlockType("Q5_1", 32, 24, _q5_1),
    8: BlockType("Q8_0", 32, 34, _q8_0),
    12: BlockType("Q4_K", 256, 144, _q4_k),
    13: BlockType("Q5_K", 256, 176, _q5_k),
    14: BlockType("Q6_K", 256, 210, _q6_k),
    30: BlockType("BF16", 1, 2, _bfloat16),
}
"""By their number in a file."""

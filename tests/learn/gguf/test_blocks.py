"""Blocks of quantized numbers: each number by itself, as ggml's header says where its bits are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgekd.learn.gguf.blocks import BLOCK_TYPES

HALVES = {2: (0,), 3: (0, 2), 6: (0,), 7: (0, 2), 8: (0,), 12: (0, 2), 13: (0, 2), 14: (208,)}
"""Where a block has numbers in half precision."""


def half(block: bytes, at: int) -> float:
    return float(np.frombuffer(block[at : at + 2], np.float16)[0])


def nibble(data: bytes, number: int) -> int:
    """Of 32 in 16 bytes."""
    return data[number] & 15 if number < 16 else data[number - 16] >> 4


def fifth(data: bytes, number: int) -> int:
    return (int.from_bytes(data[:4], "little") >> number & 1) << 4


def six_bits(data: bytes, number: int) -> tuple[int, int]:
    """A scale and an offset of eight each, as ``get_scale_min_k4`` has them."""
    if number < 4:
        return data[number] & 63, data[number + 4] & 63
    low, high = data[number + 4] & 15, data[number + 4] >> 4
    return low | (data[number - 4] >> 6) << 4, high | (data[number] >> 6) << 4


def of_eights(block: bytes, number: int, quant: int) -> float:
    scale, offset = six_bits(block[4:16], number // 32)
    return half(block, 0) * scale * quant - half(block, 2) * offset


def four_of(data: bytes, number: int) -> int:
    byte = data[number // 64 * 32 + number % 32]
    return byte >> 4 if number % 64 >= 32 else byte & 15


def q5_k(block: bytes, number: int) -> float:
    bit = block[16 + number % 32] >> (number // 32) & 1
    return of_eights(block, number, four_of(block[48:], number) + 16 * bit)


def q6_k(block: bytes, number: int) -> float:
    part, inside = divmod(number, 128)
    row, place = divmod(inside, 32)
    low = block[part * 64 + (row % 2) * 32 + place]
    low = low >> 4 if row >= 2 else low & 15
    high = block[128 + part * 32 + place] >> (2 * row) & 3
    scale = int(np.frombuffer(block[192 + number // 16 : 193 + number // 16], np.int8)[0])
    return half(block, 208) * scale * ((low | high << 4) - 32)


ONE: dict[int, Callable[[bytes, int], float]] = {
    2: lambda block, n: half(block, 0) * (nibble(block[2:], n) - 8),
    3: lambda block, n: half(block, 0) * nibble(block[4:], n) + half(block, 2),
    6: lambda block, n: half(block, 0) * ((nibble(block[6:], n) | fifth(block[2:], n)) - 16),
    7: lambda block, n: (
        half(block, 0) * (nibble(block[8:], n) | fifth(block[4:], n)) + half(block, 2)
    ),
    8: lambda block, n: half(block, 0) * int(np.frombuffer(block[2 + n : 3 + n], np.int8)[0]),
    12: lambda block, n: of_eights(block, n, four_of(block[16:], n)),
    13: q5_k,
    14: q6_k,
}


@pytest.mark.parametrize("kind", ONE)
def test_every_number_of_a_block(kind: int) -> None:
    block_type, random = BLOCK_TYPES[kind], np.random.default_rng(kind)
    raw = random.integers(0, 256, (3, block_type.size_bytes), dtype=np.uint8)
    for at in HALVES[kind]:
        raw[:, at : at + 2] = random.normal(size=(3, 1)).astype(np.float16).view(np.uint8)
    got = block_type.unpack(raw)
    want = [[ONE[kind](row.tobytes(), n) for n in range(block_type.size)] for row in raw]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_plain_numbers() -> None:
    values = np.array([[1.5], [-0.25]], np.float32)
    for kind, stored in ((0, values), (1, values.astype(np.float16))):
        assert np.array_equal(
            BLOCK_TYPES[kind].unpack(stored.view(np.uint8).reshape(2, -1)), values
        )
    high = values.view(np.uint8).reshape(2, 4)[:, 2:]
    assert np.array_equal(BLOCK_TYPES[30].unpack(high), values)

from __future__ import annotations

import numpy._core._multiarray_umath as numpy_core
import pytest

from edgekd.bench.machine import instructions

HOST = ["ssse3", "avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "fma"]


@pytest.mark.parametrize(
    ("found", "left"),
    [
        ({"AVX2": True, "AVX512F": True}, HOST),
        ({"AVX2": True, "AVX512F": False}, ["ssse3", "avx2", "fma"]),
        ({"AVX2": False, "AVX512F": False}, ["ssse3", "fma"]),
        ({}, HOST),
    ],
)
def test_what_numpy_does_not_find_is_struck(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, bool], left: list[str]
) -> None:
    monkeypatch.setattr(numpy_core, "__cpu_features__", found)
    assert instructions.usable_flags(HOST) == left


def test_a_numpy_that_does_not_tell_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(numpy_core, "__cpu_features__")
    assert instructions.usable_flags(HOST) == HOST


@pytest.mark.parametrize(
    ("flags", "clips"),
    [
        (["ssse3", "avx2"], True),
        (["ssse3", "avx2", "avx512f"], True),
        (["ssse3", "avx2", "avx_vnni"], False),
        (["ssse3", "avx2", "avx512f", "avx512_vnni"], False),
        (["asimd", "asimddp"], False),
        ([], False),
    ],
)
def test_only_x86_without_vnni_sums_in_16_bits(flags: list[str], clips: bool) -> None:
    assert instructions.sums_in_16_bits(flags) is clips

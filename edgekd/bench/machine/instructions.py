"""Which of a processor's instructions a program really has, where /proc/cpuinfo tells of another one.

An emulator passes the host's /proc/cpuinfo on. numpy asks the processor itself (CPUID, or the kernel's
hardware capabilities), as the engines do; what it does not find is struck from the list.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable

FAMILIES = {
    "AVX2": ("avx2", "avx_vnni"),
    "AVX512F": ("avx512", "avx_vnni", "amx"),
    "ASIMDDP": ("asimddp", "i8mm"),
}
"""numpy's name of an instruction set, and how the flags begin that nothing has without it.

AVX-VNNI needs no AVX-512, but an emulator that hides the one of its host hides the other too.
"""
VNNI = ("avx_vnni", "avx512_vnni")
PAIRS = "ssse3"
"""Brought the product of 8-bit pairs that is summed in 16 bits, pmaddubsw."""


def usable_flags(flags: Iterable[str]) -> list[str]:
    """Those of the `flags` of /proc/cpuinfo that this process can use."""
    try:
        core = importlib.import_module("numpy._core._multiarray_umath")
    except ImportError:  # it is numpy's own business where this stands
        return list(flags)
    found: dict[str, bool] = getattr(core, "__cpu_features__", {})
    hidden = tuple(
        start for name, starts in FAMILIES.items() if not found.get(name, True) for start in starts
    )
    return [flag for flag in flags if not flag.startswith(hidden)]


def sums_in_16_bits(flags: Iterable[str]) -> bool:
    """Return whether int8 products go through pmaddubsw: an x86 processor without VNNI."""
    have = set(flags)
    return PAIRS in have and have.isdisjoint(VNNI)

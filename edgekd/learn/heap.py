"""The C library's heap while a model learns or answers: what one pass frees, the next one takes.

glibc hands a large block back to the system as soon as it is freed, and the system fills every page of it with zeros
when it is touched again. A pass frees and takes the same activations at each step, so this was a tenth of the
processor time of a step. Kept memory changes no byte of what is computed.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4
"""Parameters of mallopt(3)."""
USERS_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_MMAP_MAX_")
"""Variables by which a user settles the same; so does ``glibc.malloc`` in ``GLIBC_TUNABLES``."""
KEEP = ((MMAP_MAX, 0), (TRIM_THRESHOLD, -1))
"""No block comes from the system alone, and the heap's end is not handed back."""
GIVE_BACK = ((MMAP_MAX, 65_536), (MMAP_THRESHOLD, 32 << 20), (TRIM_THRESHOLD, 64 << 20))
"""What glibc's own thresholds rise to at most where nobody sets them (mallopt(3))."""


class _Holders:
    """How many hold the heap now: it belongs to the process, and the last one lets go."""

    lock = threading.Lock()
    count = 0


@contextmanager
def keep_freed_memory() -> Iterator[None]:
    """Inside, memory that is freed stays with the process; afterwards it goes back to the system.

    Does nothing under another C library than glibc, or where the user settled it by environment variables.
    """
    libc = _find_glibc()
    if libc is None:
        yield
        return
    _hold(libc, 1)
    try:
        yield
    finally:
        _hold(libc, -1)


def _hold(libc: ctypes.CDLL, change: int) -> None:
    with _Holders.lock:
        _Holders.count += change
        for parameter, value in KEEP if _Holders.count else GIVE_BACK:
            libc.mallopt(parameter, value)
        if not _Holders.count:
            libc.malloc_trim(ctypes.c_size_t(0))


def _find_glibc() -> ctypes.CDLL | None:
    """The C library, if it is glibc and its heap may be set."""
    tuned = "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if tuned or os.name != "posix" or any(name in os.environ for name in USERS_OWN):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None

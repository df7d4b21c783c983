"""Weights that OpenVINO has copied, not held a second time.

Its CPU plugin maps model.bin and, while it compiles, writes most weights anew in the order that its kernels read; the pages
it read them from stay resident as long as the model lives (OpenVINO 2026.4). A page of a file that is mapped for reading
alone can be given back at any time: whoever reads it again gets it from the file.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Iterator
from pathlib import Path

LEAST_BYTES = 2**24
"""Of a smaller file nothing is given back."""
PERIOD_S = 0.01
MAPS = Path("/proc/self/maps")
_DONT_NEED = 4
"""MADV_DONTNEED of Linux."""


@contextlib.contextmanager
def drop_pages(path: Path) -> Iterator[None]:
    """While it lasts, again and again, and once more at its end, give back the mapped pages of the file `path`; nothing on a
    system without /proc."""
    if not MAPS.exists() or path.stat().st_size < LEAST_BYTES:
        yield
        return
    real, ended = str(path.resolve()), threading.Event()

    def repeat() -> None:
        while not ended.wait(PERIOD_S):
            _drop(real)

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        _drop(real)


def _drop(real: str) -> None:
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for line in MAPS.read_text(errors="replace").splitlines():
        place, rights, _, _, _, *name = line.split(maxsplit=5)
        if name == [real] and rights == "r--s":
            start, end = (int(part, 16) for part in place.split("-"))
            madvise(start, end - start, _DONT_NEED)

"""Python's search for cyclic garbage, put off where all that is made stays."""

from __future__ import annotations

import atexit
import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def pause_collection() -> Iterator[None]:
    """Nothing is searched within. For what ends soon and makes objects by the hundred thousand, as an import does:
    each search looks at all of them again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Process:
    is_own = False


def own_process() -> None:
    """Say that this process runs edgekd and nothing else, so that its garbage is nobody's concern once it ends: Python
    would search the half a million objects that torch is for a second then."""
    if not _Process.is_own:
        _Process.is_own = True
        atexit.register(gc.freeze)


def keep_all_if_own() -> None:
    """In a process of edgekd's own, search no more among what is there now, most of which stays to the end."""
    if _Process.is_own:
        gc.freeze()

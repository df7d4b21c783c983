"""Python's search for cyclic garbage, put off where all that is made stays."""

from __future__ import annotations

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

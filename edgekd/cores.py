"""How many cores this process may use."""

from __future__ import annotations

import os


def count_cores() -> int:
    """Those that the kernel allows it; where a system does not say (macOS, Windows), all that there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

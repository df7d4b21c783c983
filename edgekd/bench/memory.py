"""How much memory a process has held, from the kernel's own account of it.

`VmHWM` of /proc/self/status, never `ru_maxrss`: the kernel folds the parent's peak into a child's
`ru_maxrss` at exec, so a worker under a 600 MB parent would report 600 MB.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
FIELDS = ("VmHWM", "VmRSS", "RssAnon", "RssFile", "VmSwap")


def parse_status(text: str) -> dict[str, int]:
    """The fields of a /proc status file that count memory, in bytes."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name in FIELDS:
            found[name] = int(rest.split()[0]) * 1024
    return found


def now() -> dict[str, int]:
    """This process's memory in bytes by field; empty where there is no /proc."""
    try:
        return parse_status(STATUS.read_text())
    except OSError:
        return {}


def reset_peak() -> bool:
    """Start `VmHWM` anew at what is resident now; whether the kernel let us."""
    with contextlib.suppress(OSError):
        CLEAR_REFS.write_text("5")
        return True
    return False

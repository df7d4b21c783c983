"""How much memory a process has held, from the kernel's own account of it.

`VmHWM` of /proc/self/status, never `ru_maxrss`: the kernel folds the parent's peak into a child's
`ru_maxrss` at exec, so a worker under a 600 MB parent would report 600 MB.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

ROOT = Path("/")
CLEAR_REFS = Path("/proc/self/clear_refs")
OOM_SCORE = Path("/proc/self/oom_score_adj")
FIELDS = ("VmHWM", "VmRSS", "RssAnon", "RssFile", "RssShmem", "VmSwap", "Pss")
"""Resident: the peak, now, and now by kind (weights that are mapped are file-backed); swapped out;
resident with shared pages split among those who share them."""
CGROUP_PEAK = ("memory.peak", "memory.max_usage_in_bytes")
"""Of cgroup v2, of v1; the page cache and all processes of the group count in it."""


def parse_status(text: str) -> dict[str, int]:
    """The fields of a /proc status or smaps_rollup file that count memory, in bytes."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name in FIELDS:
            found[name] = int(rest.split()[0]) * 1024
    return found


def read_memory(root: Path = ROOT) -> dict[str, int]:
    """This process's memory in bytes by field; empty where there is no /proc.

    Args:
        root: where /proc hangs; another folder in tests.
    """
    return parse_status(_text(root / "proc/self/status"))


def read_proportional_bytes(root: Path = ROOT) -> dict[str, int]:
    """``Pss``, which costs the kernel a walk of the page table; empty where it is not told."""
    found = parse_status(_text(root / "proc/self/smaps_rollup"))
    return {name: size for name, size in found.items() if name == "Pss"}


def read_cgroup_peak(root: Path = ROOT) -> int | None:
    """The peak of this process's control group in bytes; None where none is kept or readable."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers not in ("", "memory"):
            continue
        group = root / "sys/fs/cgroup" / controllers / path.strip("/")
        for name in CGROUP_PEAK:
            text = _text(group / name).strip()
            if text.isdigit():
                return int(text)
    return None


def reset_peak() -> bool:
    """Start `VmHWM` anew at what is resident now; whether the kernel let us."""
    with contextlib.suppress(OSError):
        CLEAR_REFS.write_text("5")
        return True
    return False


def compute_memory_limit(root: Path = ROOT) -> int | None:
    """Return how many bytes a worker may allocate: nine tenths of what is free now, swap left out."""
    for line in _text(root / "proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            return int(rest.split()[0]) * 1024 * 9 // 10
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def require_enough(error: Exception) -> None:
    """Raises MemoryError if what an engine raised says that it got no memory: engines have no class for that."""
    if "alloc" in str(error):
        raise MemoryError(str(error)) from error

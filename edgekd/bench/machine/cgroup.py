"""What this process's control groups allow it: CPU quota, memory, and how often it was held back.

A limit may stand at the process's own group or at any above it, so all are read, in version 1 and 2.
Needs nothing but the standard library: it runs on the device.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

DEFAULT_MOUNT = "sys/fs/cgroup"
NO_LIMIT_BYTES = 2**60
"""Version 1 writes "no limit" as the largest number of whole pages."""


class _Mount(NamedTuple):
    """Where a hierarchy hangs."""

    top: str
    """The group that is seen there; not the topmost one inside a container."""
    folder: Path


def group_folders(root: Path, controller: str) -> list[Path]:
    """The folders of the process's own group and of those above it, the own one first.

    Args:
        root: where /proc and /sys hang; another folder in tests.
        controller: ``cpu`` or ``memory``.
    """
    found = _own(root, controller)
    if found is None:
        return []
    path, version_1 = found
    mount = _mount(root, controller if version_1 else None)
    inside = path.removeprefix(mount.top) if mount.top != "/" else path
    # a group outside of what is mounted is told with dots; its limits are seen at the top alone
    parts = [part for part in inside.split("/") if part]
    if ".." in parts:
        parts = []
    folders = [mount.folder.joinpath(*parts[:count]) for count in range(len(parts), -1, -1)]
    return [folder for folder in folders if folder.is_dir()]


def count_throttled(root: Path = Path("/")) -> int | None:
    """Return how often the process's groups were held back by a CPU quota; None where nobody counts."""
    counts = [_field(group / "cpu.stat", "nr_throttled") for group in group_folders(root, "cpu")]
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def read_quota_cores(root: Path = Path("/")) -> float | None:
    """The CPU time that the tightest group allows, in cores; None without a limit."""
    return min(
        (quota for group in group_folders(root, "cpu") for quota in _quota(group)), default=None
    )


def read_memory_limit(root: Path = Path("/")) -> int | None:
    """The memory that the tightest group allows; None without a limit."""
    limits = [
        int(text)
        for group in group_folders(root, "memory")
        for name in ("memory.max", "memory.limit_in_bytes")
        if (text := _text(group / name)).isdigit() and int(text) < NO_LIMIT_BYTES
    ]
    return min(limits, default=None)


def _own(root: Path, controller: str) -> tuple[str, bool] | None:
    """The path of the process's group, and whether its hierarchy is of version 1."""
    unified = None
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(","):
            return path, True
        if number == "0" and not controllers:
            unified = path
    return None if unified is None else (unified, False)


def _mount(root: Path, controller: str | None) -> _Mount:
    """Return where the hierarchy of a controller of version 1 hangs, or that of version 2."""
    for line in _text(root / "proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(" "), right.split(" ")
        if len(fields) < 5 or len(kind) < 3:
            continue
        of_version_1 = kind[0] == "cgroup" and controller in kind[2].split(",")
        if of_version_1 or (controller is None and kind[0] == "cgroup2"):
            return _Mount(fields[3], root / fields[4].lstrip("/"))
    top = root / DEFAULT_MOUNT
    return _Mount("/", top if controller is None else top / controller)


def _quota(group: Path) -> Iterator[float]:
    """Yield what one group sets, if it sets one."""
    limit, _, period = _text(group / "cpu.max").partition(" ")
    if not limit:
        limit = _text(group / "cpu.cfs_quota_us")
        period = _text(group / "cpu.cfs_period_us")
    if limit.isdigit() and period.isdigit() and int(period):
        yield int(limit) / int(period)


def _field(path: Path, name: str) -> int | None:
    for line in _text(path).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdigit():
            return int(value)
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""

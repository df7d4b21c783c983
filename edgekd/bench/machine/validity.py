"""Whether a machine was fit to be measured: what the kernel counts, before, between and after.

`snapshot` runs in a worker on the device and needs the standard library alone; `judge` is pure. A
reason spoils the numbers; a warning says what may have widened them. What a machine does not tell is
None and is never held against it.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

Snapshot = Mapping[str, Any]

HOTTER_C = 10.0
FREQUENCY_DIP = 0.9
"""The tenth percentile of the clock beside its ninetieth."""
STEAL = 0.01
"""Fraction of the machine's time that the hypervisor gave to others."""
PRESSURE = 0.05
"""Fraction of the time in which some task waited for a core."""
SWITCHES_PER_S = 50.0
"""Times a second that a measuring process lost its core to another."""
RASPBERRY_NOW = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft limit"}
"""Bits of the firmware's ``get_throttled``; the same ones 16 higher say since boot."""

PLAIN = re.compile(r"[A-Za-z0-9_/. -]{1,80}")
SCALARS = (
    "time_ns",
    "ticks",
    "steal_ticks",
    "pressure_us",
    "load_1min",
    "cores",
    "swapped_in",
    "firmware_throttled",
    "on_battery",
)


class Validity(NamedTuple):
    """A verdict on the machine, not on the model."""

    ok: bool
    reasons: tuple[str, ...]
    """Why the numbers do not count."""
    warnings: tuple[str, ...]
    """What may have widened them."""


def snapshot(root: Path = Path("/")) -> dict[str, Any]:
    """What the machine says of itself now, as JSON.

    Args:
        root: where /proc and /sys hang; another folder in tests.
    """
    cpus = root / "sys/devices/system/cpu"
    busy = _cpu_times(root / "proc/stat")
    load = _text(root / "proc/loadavg")
    return {
        "time_ns": time.monotonic_ns(),
        "throttles": _throttles(root),
        "temperatures_c": _temperatures_c(root / "sys/class/thermal"),
        "frequencies_khz": _numbers(cpus, "cpu[0-9]*/cpufreq/scaling_cur_freq"),
        "governors": sorted(set(_texts(cpus, "cpu[0-9]*/cpufreq/scaling_governor").values())),
        "ticks": busy[0],
        "steal_ticks": busy[1],
        "pressure_us": _pressure_us(root / "proc/pressure/cpu"),
        "load_1min": float(load.split()[0]) if load else None,
        "cores": os.cpu_count(),
        "swapped_in": _counter(root / "proc/vmstat", "pswpin"),
        "firmware_throttled": _hexadecimal(
            root / "sys/devices/platform/soc/soc:firmware/get_throttled"
        ),
        "on_battery": _on_battery(root / "sys/class/power_supply"),
    }


def judge(
    before: Snapshot,
    after: Snapshot,
    processes: Sequence[Mapping[str, Any]],
    *,
    between: Sequence[Snapshot] = (),
) -> Validity:
    """Whether what `processes` measured between two snapshots counts.

    Args:
        before: a snapshot from before the first process.
        after: one from after the last.
        processes: results of latency workers (``majflt``, ``nivcsw``, ``cpu_s``).
        between: snapshots taken on the way.

    Raises:
        ValueError: if a snapshot is none; it may come from a machine that is not ours.
    """
    every = (before, *between, after)
    if not all(map(well_formed, every)):
        raise ValueError("got an account of the machine that cannot be read")
    reasons = [*_throttled(before, after), *_swapped(before, after, processes)]
    warnings = [
        *_hotter(every),
        *_clock_dips(every),
        *_neighbours(before, after),
        *_switched(processes),
    ]
    if any(one.get("on_battery") for one in every):
        warnings.append("runs on battery")
    return Validity(not reasons, tuple(reasons), tuple(warnings))


def well_formed(snapshot: Snapshot) -> bool:
    """Whether each entry is of the kind that `snapshot` writes, with plain names and finite numbers."""
    for name in ("throttles", "temperatures_c", "frequencies_khz"):
        counts = snapshot.get(name)
        if not isinstance(counts, dict) or not all(map(PLAIN.fullmatch, counts)):
            return False
        if not all(map(finite, counts.values())):
            return False
    return all(snapshot.get(name) is None or finite(snapshot[name]) for name in SCALARS)


def finite(value: object) -> bool:
    """Whether it is a number that can be reckoned with; JSON may hold others."""
    return isinstance(value, int | float) and -(2**63) < value < 2**63  # NaN is in no range


def _throttled(before: Snapshot, after: Snapshot) -> list[str]:
    rose = {
        name: count - before["throttles"][name]
        for name, count in after["throttles"].items()
        if count > before["throttles"].get(name, count)
    }
    found = [f"throttled: {name} rose by {by}" for name, by in sorted(rose.items())]
    bits = after.get("firmware_throttled") or 0
    since = bits >> 16 & ~((before.get("firmware_throttled") or 0) >> 16)
    names = [name for bit, name in RASPBERRY_NOW.items() if (bits | since) >> bit & 1]
    return found + [f"throttled: the firmware says {name}" for name in names]


def _swapped(
    before: Snapshot, after: Snapshot, processes: Sequence[Mapping[str, Any]]
) -> list[str]:
    pages = _rise(before, after, "swapped_in") or 0
    faults = sum(process.get("majflt", 0) for process in processes)
    found = [f"swapped: {pages} pages came back from swap"] if pages else []
    return found + ([f"paged: {faults} page faults read the disk"] if faults else [])


def _hotter(every: Sequence[Snapshot]) -> list[str]:
    found = []
    for name, start in every[0]["temperatures_c"].items():
        most = max(one["temperatures_c"].get(name, start) for one in every)
        if most - start > HOTTER_C:
            found.append(f"hotter: {name} rose from {start:.0f} to {most:.0f} °C")
    return found


def _clock_dips(every: Sequence[Snapshot]) -> list[str]:
    # the fastest core of a moment is the one that works; the others may idle as they like
    clocks = sorted(max(v) for one in every if (v := list(one["frequencies_khz"].values())))
    if len(clocks) < 2:
        return []
    tenth = (len(clocks) - 1) // 10
    low, high = clocks[tenth], clocks[-1 - tenth]
    if low >= FREQUENCY_DIP * high:
        return []
    return [f"clock: between {low / 1000:.0f} and {high / 1000:.0f} MHz"]


def _neighbours(before: Snapshot, after: Snapshot) -> list[str]:
    found = []
    ticks, stolen = _rise(before, after, "ticks"), _rise(before, after, "steal_ticks")
    if ticks and stolen is not None and stolen / ticks > STEAL:
        found.append(f"noisy: the hypervisor took {stolen / ticks:.1%} of the time")
    waited, took = _rise(before, after, "pressure_us"), _rise(before, after, "time_ns")
    if took and waited is not None and waited * 1000 / took > PRESSURE:
        found.append(f"noisy: tasks waited for a core in {waited * 1000 / took:.0%} of the time")
    load, cores = before.get("load_1min"), before.get("cores")
    if load is not None and cores and load > cores:
        found.append(f"noisy: the load was {load:.1f} on {cores} cores before it began")
    return found


def _switched(processes: Sequence[Mapping[str, Any]]) -> list[str]:
    switches = sum(process.get("nivcsw", 0) for process in processes)
    spent_s = sum(process.get("cpu_s", 0.0) for process in processes)
    if not spent_s or switches / spent_s <= SWITCHES_PER_S:
        return []
    return [f"noisy: processes lost their core {switches / spent_s:.0f} times a second"]


def _rise(before: Snapshot, after: Snapshot, name: str) -> int | None:
    """How far a counter rose; None where it cannot be read."""
    earlier, later = before.get(name), after.get(name)
    return None if earlier is None or later is None else int(later - earlier)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip("\0 \n")
    except OSError:
        return None


def _texts(folder: Path, pattern: str) -> dict[str, str]:
    read = {path.relative_to(folder).as_posix(): _text(path) for path in folder.glob(pattern)}
    return {name: text for name, text in read.items() if text}


def _numbers(folder: Path, pattern: str) -> dict[str, int]:
    read = _texts(folder, pattern)
    return {name: int(text) for name, text in read.items() if text.lstrip("-").isdigit()}


def _throttles(root: Path) -> dict[str, int]:
    """Counts that only rise when the machine, or our control group, was held back."""
    cpus = root / "sys/devices/system/cpu"
    found = _numbers(cpus, "cpu[0-9]*/thermal_throttle/*_count")
    for path in ("sys/fs/cgroup/cpu.stat", "sys/fs/cgroup/cpu/cpu.stat"):
        count = _counter(root / path, "nr_throttled")
        if count is not None:
            found["cgroup nr_throttled"] = count
    return found


def _temperatures_c(folder: Path) -> dict[str, float]:
    """By zone; the kernel counts thousandths of a degree."""
    return {
        name.partition("/")[0]: value / 1000
        for name, value in _numbers(folder, "thermal_zone*/temp").items()
    }


def _cpu_times(path: Path) -> tuple[int | None, int | None]:
    """All ticks and stolen ticks of /proc/stat; guest time is within user time."""
    fields = (_text(path) or "").partition("\n")[0].split()
    if len(fields) < 9 or fields[0] != "cpu":
        return None, None
    ticks = [int(field) for field in fields[1:9]]
    return sum(ticks), ticks[7]


def _pressure_us(path: Path) -> int | None:
    for line in (_text(path) or "").splitlines():
        if line.startswith("some"):
            return int(line.rpartition("total=")[2])
    return None


def _counter(path: Path, name: str) -> int | None:
    for line in (_text(path) or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return None


def _hexadecimal(path: Path) -> int | None:
    with contextlib.suppress(ValueError):
        return int(_text(path) or "", 16)
    return None


def _on_battery(folder: Path) -> bool | None:
    """Whether a mains supply is unplugged, or a battery drains; None where there is neither."""
    types = _texts(folder, "*/type")
    known = []
    for name, kind in types.items():
        supply = folder / Path(name).parent
        if kind == "Mains":
            known.append(_text(supply / "online") == "0")
        elif kind == "Battery":
            known.append(_text(supply / "status") == "Discharging")
    return any(known) if known else None

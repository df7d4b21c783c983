"""Whether a machine was fit to be measured: what the kernel counts, before, between and after.

`take_snapshot` runs in a worker on the device and needs the standard library alone; `judge` is pure. A
reason spoils the numbers; a warning says what may have widened them. What a machine does not tell is
None and is never held against it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd.bench.machine import cgroup
from edgekd.bench.machine import readings

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

GROUP = "cgroup nr_throttled"
"""The count of the process's control groups."""
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
    "quota_cores",
)


class Validity(NamedTuple):
    """A verdict on the machine, not on the model."""

    ok: bool
    reasons: tuple[str, ...]
    """Why the numbers do not count."""
    warnings: tuple[str, ...]
    """What may have widened them."""


def take_snapshot(root: Path = Path("/")) -> dict[str, Any]:
    """Return what the machine says of itself now, as JSON.

    Args:
        root: where /proc and /sys hang; another folder in tests.
    """
    cpus = root / "sys/devices/system/cpu"
    busy = readings.read_cpu_times(root / "proc/stat")
    load = readings.read_text(root / "proc/loadavg")
    return {
        "time_ns": time.monotonic_ns(),
        "throttles": _throttles(root),
        "temperatures_c": readings.read_temperatures_c(root / "sys/class/thermal"),
        "frequencies_khz": readings.read_numbers(cpus, "cpu[0-9]*/cpufreq/scaling_cur_freq"),
        "governors": sorted(
            set(readings.read_texts(cpus, "cpu[0-9]*/cpufreq/scaling_governor").values())
        ),
        "ticks": busy[0],
        "steal_ticks": busy[1],
        "pressure_us": readings.read_pressure_us(root / "proc/pressure/cpu"),
        "load_1min": float(load.split()[0]) if load else None,
        "cores": os.cpu_count(),
        "swapped_in": readings.read_counter(root / "proc/vmstat", "pswpin"),
        "firmware_throttled": readings.parse_hexadecimal(
            root / "sys/devices/platform/soc/soc:firmware/get_throttled"
        ),
        "on_battery": readings.is_on_battery(root / "sys/class/power_supply"),
        "quota_cores": cgroup.read_quota_cores(root),
    }


def judge(
    before: Snapshot,
    after: Snapshot,
    processes: Sequence[Mapping[str, Any]],
    *,
    between: Sequence[Snapshot] = (),
) -> Validity:
    """Return whether what `processes` measured between two snapshots counts.

    Args:
        before: a snapshot from before the first process.
        after: one from after the last.
        processes: results of latency workers (``majflt``, ``nivcsw``, ``cpu_s``, ``threads``,
            ``affinity``).
        between: snapshots taken on the way.

    Raises:
        ValueError: if a snapshot is none; it may come from a machine that is not ours.
    """
    every = (before, *between, after)
    if not all(map(is_well_formed, every)):
        raise ValueError("got an account of the machine that cannot be read")
    reasons = [
        *_throttled(before, after),
        *_crowded(after, processes),
        *_swapped(before, after, processes),
    ]
    warnings = [
        *_hotter(every),
        *_clock_dips(every),
        *_neighbours(before, after),
        *_switched(processes),
    ]
    if any(one.get("on_battery") for one in every):
        warnings.append("runs on battery")
    return Validity(not reasons, tuple(reasons), tuple(warnings))


def is_well_formed(snapshot: Snapshot) -> bool:
    """Return whether each entry is of the kind that `take_snapshot` writes, with plain names and finite numbers."""
    for name in ("throttles", "temperatures_c", "frequencies_khz"):
        counts = snapshot.get(name)
        if not isinstance(counts, dict) or not all(map(PLAIN.fullmatch, counts)):
            return False
        if not all(map(is_finite, counts.values())):
            return False
    bits = snapshot.get("firmware_throttled")
    if bits is not None and not isinstance(bits, int):
        return False
    return all(snapshot.get(name) is None or is_finite(snapshot[name]) for name in SCALARS)


def is_finite(value: object) -> bool:
    """Return whether it is a number that can be reckoned with; JSON may hold others."""
    return isinstance(value, int | float) and -(2**63) < value < 2**63  # NaN is in no range


def _throttled(before: Snapshot, after: Snapshot) -> list[str]:
    rose = {
        name: count - before["throttles"][name]
        for name, count in after["throttles"].items()
        if count > before["throttles"].get(name, count)
    }
    quota = after.get("quota_cores")
    why = {} if quota is None else {GROUP: f", under a CPU quota of {quota:g} cores"}
    found = [
        f"throttled: {name} rose by {by}{why.get(name, '')}" for name, by in sorted(rose.items())
    ]
    bits = after.get("firmware_throttled") or 0
    since = bits >> 16 & ~((before.get("firmware_throttled") or 0) >> 16)
    names = [name for bit, name in RASPBERRY_NOW.items() if (bits | since) >> bit & 1]
    return found + [f"throttled: the firmware says {name}" for name in names]


def _crowded(after: Snapshot, processes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Engines that were given more threads than they have cores to run on."""
    found, quota = dict[str, None](), after.get("quota_cores")
    for process in processes:
        threads, cores = process.get("threads", 1), len(process.get("affinity") or ())
        if cores and threads > cores:
            found[f"crowded: {threads} threads on {cores} of the cores (affinity)"] = None
        if quota is not None and threads > quota:
            found[f"crowded: threads: {threads}, CPU quota: {quota:g} cores"] = None
    return list(found)


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
    """Return how far a counter rose; None where it cannot be read."""
    earlier, later = before.get(name), after.get(name)
    return None if earlier is None or later is None else int(later - earlier)


def _throttles(root: Path) -> dict[str, int]:
    """Counts that only rise when the machine, or one of our control groups, was held back."""
    cpus = root / "sys/devices/system/cpu"
    found = readings.read_numbers(cpus, "cpu[0-9]*/thermal_throttle/*_count")
    count = cgroup.count_throttled(root)
    return found if count is None else {**found, GROUP: count}

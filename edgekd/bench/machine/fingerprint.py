"""Which machine a number belongs to: what changes it is in the key, what only describes it is not.

Two numbers may be compared as milliseconds only if their keys agree. Versions of the engines stand
apart: each result carries its own.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import re
from pathlib import Path
from typing import Any

from edgekd import files
from edgekd.bench.machine import cgroup
from edgekd.bench.machine import emulation
from edgekd.bench.machine import instructions
from edgekd.runtimes import BUILT_IN

RAM_GRAIN_BYTES = 64 * 2**20
"""The kernel's own reservations change a little between boots."""
CPU_FIELDS = {
    "model name": "cpu_model",
    "stepping": "stepping",
    "microcode": "microcode",
    "CPU implementer": "cpu_implementer",
    "CPU part": "cpu_part",
    "CPU revision": "cpu_revision",
}


def collect_host_facts(root: Path = Path("/")) -> dict[str, Any]:
    """Return what is in the key, by name; None for what this machine does not tell.

    Args:
        root: where /proc and /sys hang; another folder in tests.
    """
    cpuinfo, emulated = _read(root / "proc/cpuinfo") or "", emulation.find_emulator(root)
    flags = sorted((_field(cpuinfo, "flags") or _field(cpuinfo, "Features") or "").split())
    facts: dict[str, Any] = {ours: _field(cpuinfo, theirs) for theirs, ours in CPU_FIELDS.items()}
    if emulated:  # then /proc/cpuinfo may be the host's
        flags = instructions.usable_flags(flags)
    facts |= {
        "emulated": emulated,
        "machine": platform.machine(),
        "board": (_read(root / "sys/firmware/devicetree/base/model") or "").strip("\0") or None,
        "flags": flags,
        "cores": os.cpu_count(),
        "cores_allowed": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "ram_bytes": _ram_bytes(_read(root / "proc/meminfo") or ""),
        "kernel": f"{platform.system()} {platform.release()}",
        "libc": _libc(),
        "governor": _read(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "smt": _read(root / "sys/devices/system/cpu/smt/active"),
        "virtual": "hypervisor" in flags,
        "hypervisor": _read(root / "sys/class/dmi/id/sys_vendor"),
        "container": _container(root),
        "quota_cores": cgroup.read_quota_cores(root),
        "quota_memory_bytes": cgroup.read_memory_limit(root),
    }
    return facts | list_gpus(root)


def list_gpus(root: Path = Path("/")) -> dict[str, Any]:
    """The models of NVIDIA's GPUs and their driver; nothing where there are none.

    A machine without one keeps the key it had before this was asked.
    """
    cards = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    if not cards:
        return {}
    driver = _read(root / "proc/driver/nvidia/version") or ""
    return {
        "gpus": [_field(_read(card) or "", "Model") for card in cards],
        "gpu_driver": driver.partition("\n")[0] or None,
    }


@functools.cache
def machine_key() -> str:
    """SHA-256 of `collect_host_facts`; milliseconds to compute."""
    return facts_key(collect_host_facts())


def facts_key(facts: dict[str, Any]) -> str:
    """SHA-256 of the canonical JSON of some facts."""
    return files.digest_bytes(files.canonical_json(facts))


def list_engine_versions() -> dict[str, str | None]:
    """Return what answers and times depend on besides: each engine's version, and numpy's."""
    names = ["numpy", *(entry.installed() for entry in BUILT_IN.values())]
    return {name: _version(name) for name in names}


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def collect_volatile_facts(root: Path = Path("/")) -> dict[str, Any]:
    """Return what describes the machine at this moment and does not count: load, uptime, boot."""
    load = _read(root / "proc/loadavg")
    uptime = _read(root / "proc/uptime")
    return {
        "load_1min": float(load.split()[0]) if load else None,
        "uptime_s": float(uptime.split()[0]) if uptime else None,
        "boot": _read(root / "proc/sys/kernel/random/boot_id"),
    }


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return None


def _field(cpuinfo: str, name: str) -> str | None:
    found = re.search(rf"^{re.escape(name)}\s*:\s*(.*)$", cpuinfo, re.MULTILINE)
    return found.group(1).strip() if found else None


def _ram_bytes(meminfo: str) -> int | None:
    total = _field(meminfo, "MemTotal")
    if total is None:
        return None
    return round(int(total.split()[0]) * 1024 / RAM_GRAIN_BYTES) * RAM_GRAIN_BYTES


def _libc() -> str | None:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION")
    except (ValueError, OSError, AttributeError):
        return None


def _container(root: Path) -> str | None:
    for name, mark in (("docker", ".dockerenv"), ("podman", "run/.containerenv")):
        if (root / mark).exists():
            return name
    return None

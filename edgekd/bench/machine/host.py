"""Describes a device: its fingerprint, its engines, and whether its times mean anything."""

from __future__ import annotations

import functools
from typing import Any
from typing import NamedTuple

from edgekd.bench.machine import fingerprint
from edgekd.bench.process import run_worker
from edgekd.device import Device
from edgekd.devices import local
from edgekd.runtimes import RUNTIMES

TIMEOUT_S = 120.0


class Host(NamedTuple):
    """One device, as it describes itself."""

    name: str
    key: str
    """What its results are bound to: SHA-256 of `facts`."""
    facts: dict[str, Any]
    now: dict[str, Any]
    """Load and uptime: described, not in the key."""
    versions: dict[str, str | None]
    """Of numpy and the engines, by distribution."""
    missing: dict[str, str | None]
    """By engine: why it cannot be used there, or None."""
    idle: dict[str, str | None] = {}  # noqa: RUF012 (a tuple's default; nobody writes into it)
    """By engine: why what it builds there cannot run there, or None."""

    @property
    def unable(self) -> dict[str, str | None]:
        """By engine: why nothing can be measured on it there, or None."""
        return {name: reason or self.idle.get(name) for name, reason in self.missing.items()}

    @property
    def emulated(self) -> str | None:
        """What emulates its processor, so that no time of it counts; None for a real one."""
        found: str | None = self.facts.get("emulated")
        return found


def max_threads(device: Device = local.DEVICE) -> int:
    """How many threads can run at once on a device, by its affinity and its CPU quota; 1 where it
    does not say."""
    facts = describe_host(device).facts
    cores = int(facts.get("cores_allowed") or facts.get("cores") or 1)
    return max(1, min(cores, int(facts.get("quota_cores") or cores)))


@functools.cache
def describe_host(device: Device = local.DEVICE) -> Host:
    """Describe a device, once a process: this machine directly, another by a worker.

    Raises:
        MachineError: if it is not reached or its answer is unsound.
    """
    if device is local.DEVICE:
        missing = {name: entry.load().why_not() for name, entry in RUNTIMES.items()}
        idle = {name: RUNTIMES[name].load().why_not_run() for name in RUNTIMES if not missing[name]}
        facts, now = fingerprint.host_facts(), fingerprint.volatile_facts()
        versions = fingerprint.engine_versions()
    else:
        answer = run_worker("site", {}, timeout_s=TIMEOUT_S, device=device)
        names = ("facts", "now", "versions", "missing", "idle")
        facts, now, versions, missing, idle = (answer[name] for name in names)
    return Host(device.name, fingerprint.key_of(facts), facts, now, versions, missing, idle)

"""Describes a device: its fingerprint, its engines, and whether its times mean anything."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any
from typing import NamedTuple

from edgekd.bench.machine import fingerprint
from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.device import Device
from edgekd.devices import local
from edgekd.errors import InputError
from edgekd.runtimes import BUILT_IN
from edgekd.runtimes import RUNTIMES

TIMEOUT_S = 120.0
UNKNOWN = "it does not say whether it has that"


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
    """By engine of edgekd's own: why it cannot be used there, or None."""
    idle: dict[str, str | None] = {}  # noqa: RUF012 (a tuple's default; nobody writes into it)
    """The same: why what it builds there cannot run there."""

    @property
    def unable(self) -> dict[str, str | None]:
        """The same: why nothing can be measured on it there."""
        return {name: reason or self.idle.get(name) for name, reason in self.missing.items()}

    @property
    def emulated(self) -> str | None:
        """What emulates its processor, so that no time of it counts; None for a real one."""
        found: str | None = self.facts.get("emulated")
        return found


def max_threads(device: Device = local.DEVICE) -> int:
    """Return how many threads can run at once on a device, by its affinity and its CPU quota; 1 where it
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
        missing = {name: entry.load().why_not() for name, entry in BUILT_IN.items()}
        idle = {name: BUILT_IN[name].load().why_not_run() for name in BUILT_IN if not missing[name]}
        facts, now = fingerprint.collect_host_facts(), fingerprint.collect_volatile_facts()
        versions = fingerprint.list_engine_versions()
    else:
        answer = run_worker("site", {}, timeout_s=TIMEOUT_S, device=device)
        names = ("facts", "now", "versions", "missing", "idle")
        facts, now, versions, missing, idle = (answer[name] for name in names)
    return Host(device.name, fingerprint.facts_key(facts), facts, now, versions, missing, idle)


class PluginEngine(NamedTuple):
    """An engine of a plugin on a device, as a worker that ran its code there says it is."""

    why_not: str | None
    """Why nothing can be measured on it there, or None."""
    version: str | None = None
    """Of the engine and its plugin."""
    precisions: tuple[str, ...] = ()


@functools.cache
def describe_plugin_engine(name: str, device: Device = local.DEVICE) -> PluginEngine:
    """Describe the engine `name` of a plugin on a device, once a process; what goes wrong is a reason.

    Raises:
        MachineError: if the device is not reached.
    """
    try:
        found = run_worker(
            "offers", {"runtime": name, "files": {}}, timeout_s=TIMEOUT_S, device=device
        )
    except (WorkerFailed, InputError) as error:
        return PluginEngine(error.line())
    if "not_measured" in found:
        return PluginEngine(found["not_measured"])
    return PluginEngine(None, found["version"], tuple(found["precisions"]))


def why_no_engine(
    names: Iterable[str], device: Device = local.DEVICE, *, run: bool
) -> dict[str, str | None]:
    """By engine why it cannot be used on a device, or None.

    Args:
        names: of `edgekd.runtimes.RUNTIMES`.
        device: where.
        run: whether one of edgekd's that cannot run there what it builds counts, too.

    Raises:
        MachineError: if the device is not reached.
    """
    there = describe_host(device)
    own = there.unable if run else there.missing
    return {
        name: own.get(name, UNKNOWN)
        if name in BUILT_IN
        else describe_plugin_engine(name, device).why_not
        for name in names
        if name in RUNTIMES
    }

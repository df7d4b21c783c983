"""The two machines of a run: the one that learns and the one that measures."""

from __future__ import annotations

from edgekd.devices import local
from edgekd.run import Options
from edgekd.stage import Bindings


def find_bindings(options: Options) -> Bindings:
    """Return how both count in keys; asks the device what it is."""
    from edgekd.bench.machine import fingerprint
    from edgekd.bench.machine import host

    key = fingerprint.machine_key()
    if options.device is local.DEVICE:
        return Bindings(key, key)
    told = host.describe_host(options.device)
    return Bindings(key, told.key, told.versions)

"""The machines a measurement can run on, by name. What one is: `edgekd.device.Device`."""

from __future__ import annotations

from edgekd.device import Device
from edgekd.devices import local

LOCAL = "local"


def find_device(name: str) -> Device:
    """The device called `name`; ``local`` is this machine.

    Raises:
        InputError: if none was added under that name.
    """
    if name == LOCAL:
        return local.DEVICE
    from edgekd.devices import ssh
    from edgekd.devices.ssh import registry

    return ssh.make_device(name, registry.get(name).address, registry.config_folder())

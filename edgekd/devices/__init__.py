"""The machines a measurement can run on, by name. What one is: `edgekd.device`."""

from __future__ import annotations

from edgekd.device import Device
from edgekd.devices import local

DEVICES: dict[str, Device] = {"local": local.DEVICE}

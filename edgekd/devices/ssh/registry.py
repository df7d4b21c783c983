"""The devices a user has added, by name, in the user's configuration folder.

devices.json     address and host key of each
known_hosts      the same keys as OpenSSH reads them; a key is pinned under the device's name
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from typing import NamedTuple

from edgekd import files
from edgekd.devices.ssh import keys
from edgekd.devices.ssh.address import KNOWN_HOSTS
from edgekd.devices.ssh.address import Address
from edgekd.devices.ssh.address import require_device_name
from edgekd.devices.ssh.address import require_safe_address
from edgekd.devices.ssh.keys import HostKey
from edgekd.errors import InputError
from edgekd.errors import find_nearest

FORMAT = "edgekd.devices/1"
FILE = "devices.json"


class KnownDevice(NamedTuple):
    """A device in the registry: its address and its pinned host key."""

    address: Address
    key: HostKey


def config_folder() -> Path:
    """``$EDGEKD_CONFIG``, else the user's configuration folder."""
    given = os.environ.get("EDGEKD_CONFIG")
    if given:
        return Path(given).absolute()
    import platformdirs

    return platformdirs.user_config_path("edgekd", appauthor=False)


def read(root: Path | None = None) -> dict[str, KnownDevice]:
    """All devices; none if none was added.

    Raises:
        InputError: if the file is not one that `add` wrote.
    """
    path = (root or config_folder()) / FILE
    if not path.exists():
        return {}
    value = files.read_json(path)
    try:
        if value["format"] != FORMAT:
            raise ValueError(f"got format {value['format']!r:.40}, want {FORMAT}")
        return {
            require_device_name(name): _known(entry) for name, entry in value["devices"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: got no list of devices: {error}") from error


def _known(entry: dict[str, Any]) -> KnownDevice:
    identity, config = (
        None if entry[n] is None else Path(entry[n]) for n in ("identity", "config")
    )
    address = Address(str(entry["host"]), str(entry["user"]), int(entry["port"]), identity, config)
    return KnownDevice(require_safe_address(address), keys.parse_key(*entry["key"]))


def get(name: str) -> KnownDevice:
    """One device.

    Raises:
        InputError: if none was added under `name`.
    """
    if name == "local":
        raise InputError("device: got 'local', want one behind ssh", hint="edgekd doctor")
    known = read()
    if name not in known:
        hint = find_nearest(name, {*known, "local"}) + "; edgekd device add NAME --ssh user@host"
        raise InputError(f"device: got unknown {name[:80]!r}", hint=hint)
    return known[name]


def add(name: str, known: KnownDevice) -> None:
    """Keep a device; one of the same name is replaced.

    Raises:
        InputError: if the name is none.
        MachineError: if the disk refuses.
    """
    if require_device_name(name) == "local":
        raise InputError("device: got name 'local', want another: this machine has it")
    _write({**read(), name: known})


def remove(name: str) -> None:
    """Forget a device and its key.

    Raises:
        InputError: if there is none.
    """
    get(name)
    _write({other: known for other, known in read().items() if other != name})


def _write(devices: dict[str, KnownDevice]) -> None:
    """The keys first: one without a device does no harm."""
    root = files.make_folder(config_folder())
    lines = [known.key.line(name) for name, known in sorted(devices.items())]
    files.write_output(root / KNOWN_HOSTS, "".join(lines).encode())
    entries = {name: _entry(known) for name, known in sorted(devices.items())}
    files.write_output(root / FILE, files.pretty_json({"format": FORMAT, "devices": entries}))


def _entry(known: KnownDevice) -> dict[str, Any]:
    paths = {name: getattr(known.address, name) for name in ("identity", "config")}
    texts = {name: None if path is None else str(path) for name, path in paths.items()}
    return {**known.address._asdict(), **texts, "key": list(known.key)}

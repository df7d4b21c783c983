"""``edgekd device``: the machines behind ssh that measure: add, list, remove, look at, set up."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import click

from edgekd.cli.screen import echo
from edgekd.cli.screen import print_columns
from edgekd.cli.screen import print_json

if TYPE_CHECKING:
    from edgekd.devices.ssh.keys import HostKey

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
ENGINES = ("onnxruntime", "openvino")
"""What a worker on a device can measure; numpy it needs in any case."""


@click.group()
def command() -> None:
    """Add, list, remove, inspect and set up devices reached over ssh."""


@command.command("add")
@click.argument("name")
@click.option(
    "--ssh", "where", required=True, metavar="USER@HOST[:PORT]", help="Address of the device."
)
@click.option("--identity", type=FILE, help="Private key.")
@click.option("--ssh-config", type=FILE, help="OpenSSH configuration.  [default: none]")
@click.option("--fingerprint", metavar="SHA256:...", help="Host key to expect; asks nothing.")
@click.option("--yes", is_flag=True, help="Accept the host key without asking.")
@JSON
def add(
    name: str,
    where: str,
    identity: Path | None,
    ssh_config: Path | None,
    fingerprint: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Add the device NAME: show its host key, ask, and store it."""
    from edgekd.devices.ssh import address
    from edgekd.devices.ssh import keys
    from edgekd.devices.ssh import registry

    place = address.parse(where, identity=identity, config=ssh_config)
    key = keys.scan_host_key(place, address.require_device_name(name))
    _accept(name, key, fingerprint, yes)
    registry.add(name, registry.KnownDevice(place, key))
    if as_json:
        print_json({"name": name, "fingerprint": key.fingerprint})
    else:
        echo(f"{name} added; see what it has: edgekd device doctor {name}")


def _accept(name: str, key: HostKey, fingerprint: str | None, yes: bool) -> None:
    """Return only if the key is the one that is wanted."""
    from edgekd.errors import InputError
    from edgekd.errors import MachineError

    if fingerprint is not None:
        if fingerprint != key.fingerprint:
            raise MachineError(f"device {name}: shows {key.fingerprint}, want {fingerprint}")
        return
    echo(f"{name} shows the {key.kind} key {key.fingerprint}", err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError("device add: got no terminal to ask at", hint="add --fingerprint or --yes")
    click.confirm("Is that its key?", abort=True, err=True)


@command.command("ls")
@JSON
def ls(as_json: bool) -> None:
    """List the devices."""
    from edgekd.devices.ssh import registry

    rows = [
        (name, f"{of.address.user}@{of.address.host}:{of.address.port}", of.key.fingerprint)
        for name, of in registry.read().items()
    ]
    if as_json:
        print_json([dict(zip(("name", "ssh", "fingerprint"), row, strict=True)) for row in rows])
    elif rows:
        print_columns(rows)
    else:
        echo("no device but local; add one: edgekd device add NAME --ssh user@host")


@command.command("rm")
@click.argument("name")
@JSON
def rm(name: str, as_json: bool) -> None:
    """Forget the device NAME and its key; on the device nothing is changed."""
    from edgekd.devices.ssh import registry

    registry.remove(name)
    if as_json:
        print_json({"removed": name})
    else:
        echo(f"{name} removed")


@command.command("doctor")
@click.argument("name")
@JSON
def doctor(name: str, as_json: bool) -> None:
    """Connect to the device NAME; show what it has and what is missing."""
    from edgekd.devices.ssh import setup as environment

    found = _looked_at(name)
    wanted = environment.choose_packages(found["machine"], None)
    missing = [package for package in wanted if found["packages"][package] is None]
    install = f"edgekd device setup {name}" if missing else None
    if as_json:
        print_json({"name": name, **found, "missing": missing, "install": install})
        return
    _print(found)
    if install:
        echo(f"it lacks {', '.join(missing)}: {install}")


@command.command("setup")
@click.argument("name")
@click.option(
    "--wheels",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of wheels to copy there and install from.",
)
@click.option("--index", metavar="URL", help="Package index to install from.")
@JSON
def setup(name: str, wheels: Path | None, index: str | None, as_json: bool) -> None:
    """Make a private Python environment on the device NAME, with numpy and the engines."""
    from edgekd.devices.ssh import setup as environment
    from edgekd.errors import InputError

    if wheels is not None and index is not None:
        raise InputError("device setup: got --wheels and --index, want one")
    machine = str(_looked_at(name)["machine"])
    packages = environment.choose_packages(machine, wheels)
    environment.install(name, packages, wheels=wheels, index=index)
    found = _looked_at(name)
    if as_json:
        print_json({"name": name, **found})
    else:
        _print(found)


def _looked_at(name: str) -> dict[str, Any]:
    from edgekd.devices.ssh import setup as environment

    return environment.probe_device(name, ["numpy", *ENGINES])


def _print(found: dict[str, Any]) -> None:
    from edgekd.units import bytes_text

    free, memory = found["free_memory_bytes"], found["memory_bytes"]
    where = "private environment" if found["private"] else "the device's own"
    rows = [
        ("reached in", f"{found['reached_ms']:.0f} ms, asked in {found['asked_ms']:.0f} ms"),
        ("machine", f"{found['machine']}, {found['cores']} cores, {found['system']}"),
        ("python", f"{found['python']} ({where})"),
        ("disk", f"{bytes_text(found['free_disk_bytes'])} free"),
        ("memory", f"{bytes_text(memory)}, {bytes_text(free)} free"),
        ("clock", f"{found['clock_resolution_ns']} ns"),
    ]
    for package, version in found["packages"].items():
        rows.append((package, version or "missing"))
    print_columns(rows)

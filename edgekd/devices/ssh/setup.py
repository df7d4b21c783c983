"""Probes a device, and makes the private environment that gives it the packages it lacks."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekd.device import PLAIN_NAME
from edgekd.device import WorkerJob
from edgekd.devices import ssh
from edgekd.devices.ssh import registry
from edgekd.devices.ssh import reply
from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.plugins import list_plugins
from edgekd.printable import escape_unprintable

MODULE = "edgekd.devices.ssh.board.environment"
TIMEOUT_S = 1800.0
INDEX = re.compile(r"https?://[A-Za-z0-9._~:/?#@!$&()*+,;=%\[\]-]{1,500}")
NUMBERS = (
    "cores",
    "free_disk_bytes",
    "memory_bytes",
    "free_memory_bytes",
    "clock_resolution_ns",
)
TEXTS = ("python", "machine", "system")
TEXT_LENGTH = 200
MOST = 2**63
"""No number that a device gives reaches it."""
DEBIANS = Path("/usr/share/python-wheels")
"""Where Debian keeps what other Pythons bundle."""


def probe_device(name: str, packages: list[str]) -> dict[str, Any]:
    """Ask for Python, space, memory, clock and versions of `packages` on the device `name`.

    Returns:
        What `edgekd.devices.ssh.board.probe.describe_machine` gives, with ``reached_ms`` and ``asked_ms``.

    Raises:
        InputError: if no such device was added.
        MachineError: if it is not reached, or breaks the protocol.
    """
    remote = ssh.RemoteDevice(name, registry.get(name).address, registry.config_folder())
    start = time.perf_counter()
    remote.probe(packages)
    between = time.perf_counter()
    value = remote.probe(packages)
    end = time.perf_counter()
    remote.close()
    times = {"reached_ms": (between - start) * 1e3, "asked_ms": (end - between) * 1e3}
    return {**_checked(value, packages, remote.where), **times}


def _checked(value: Mapping[str, Any], packages: list[str], where: str) -> dict[str, Any]:
    """The fields that are known, each of its kind."""
    versions = value.get("packages")
    good = (
        all(type(value.get(name)) is int and 0 <= value[name] < MOST for name in NUMBERS)
        and all(isinstance(value.get(name), str) for name in TEXTS)
        and isinstance(value.get("private"), bool)
        and isinstance(versions, dict)
        and all(isinstance(versions.get(name), str | None) for name in packages)
    )
    if not good or not isinstance(versions, dict):
        raise reply.protocol_error(where, value, "what it has")
    return {
        **{name: escape_unprintable(value[name])[:TEXT_LENGTH] for name in TEXTS},
        **{name: value[name] for name in NUMBERS},
        "private": value["private"],
        "packages": {name: _version(versions[name]) for name in packages},
    }


def _version(text: str | None) -> str | None:
    return None if text is None else escape_unprintable(text)[:TEXT_LENGTH]


def choose_packages(machine: str, wheels: Path | None) -> list[str]:
    """Choose what to install: numpy, ONNX Runtime, and OpenVINO where it has wheels; of what is pushed, engines that
    are installed here as plugins, too."""
    wanted = ["numpy", "onnxruntime"]
    if wheels is None:
        return [*wanted, "openvino"] if machine == "x86_64" else wanted
    given = {path.name.partition("-")[0].lower() for path in wheels.glob("*.whl")}
    plugged = [each.distribution for found in list_plugins("runtime").values() for each in found]
    others = dict.fromkeys(("openvino", *plugged))
    return [*wanted, *(name for name in others if _wheel_name(name) in given)]


def _wheel_name(distribution: str) -> str:
    """Return how a wheel's file spells it."""
    return re.sub(r"[-_.]+", "_", distribution).lower()


def install(name: str, wanted: list[str], *, wheels: Path | None, index: str | None) -> None:
    """Make the device's private environment anew, with `wanted` in it.

    Args:
        name: the device.
        wanted: distributions.
        wheels: a folder whose wheels are pushed, and nothing else is installed.
        index: a package index the device reaches; None for the one it is configured for.

    Raises:
        InputError: if there are no wheels, or the index is no URL.
        MachineError: if the device lacks pip, or pip fails.
    """
    if index is not None and not INDEX.fullmatch(index):
        raise InputError(f"index: got {index[:80]!r}, want a URL of http or https")
    paths = sorted(wheels.glob("*.whl")) if wheels is not None else []
    if wheels is not None and not paths:
        raise InputError(f"{wheels}: got no wheel, want some")
    for path in paths:
        if not PLAIN_NAME.fullmatch(path.name):
            raise InputError(f"{path}: got a wheel of that name, want a plain one")
    remote = ssh.RemoteDevice(name, registry.get(name).address, registry.config_folder())
    spec = {"packages": wanted, "index": index}
    reads = {path.name: path for path in [*_own_pip(), *paths]}
    try:
        ended = remote.run(WorkerJob(MODULE, spec, {}, TIMEOUT_S, reads))
    finally:
        remote.close()
    lines = ended.stdout.splitlines()
    value = reply.parse_frame(lines[-1], f"device {name}") if lines else {}
    if ended.timed_out:
        raise MachineError(f"device {name}: the installation took more than {TIMEOUT_S:g} s")
    if ended.returncode != 0 or "packages" not in value:
        last = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
        why = str(value.get("fault") or "".join(last) or "pip ended without a word")
        raise MachineError(f"device {name}: cannot be set up: {json.dumps(why)[1:-1][:300]}")


def _own_pip() -> list[Path]:
    """The wheel of pip that came with this Python, for a device without; none if it came without."""
    import ensurepip

    bundled = Path(ensurepip.__file__).parent / "_bundled"
    found = [path for folder in (bundled, DEBIANS) for path in sorted(folder.glob("pip-*.whl"))]
    return found[-1:]

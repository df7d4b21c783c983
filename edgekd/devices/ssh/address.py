"""Where a device is, and the one command line that reaches it.

Host and user are matched against strict patterns; what a device is asked goes as JSON through stdin, and
the remote command is one constant. So no text of a user's becomes a word of any shell.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from edgekd.errors import InputError

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}")
USER = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,63}")
KNOWN_HOSTS = "known_hosts"
"""Relative: ssh is started in the folder that holds it, for its options split paths at spaces."""
REMOTE = (
    "python3 -I -c 'import sys;i=sys.stdin.buffer;n=int(i.readline());s=i.read(n);"
    'len(s)==n and exec(compile(s,"edgekd","exec"))\''
)
"""Runs the program that comes on stdin after its length; a part of it is not run."""
OPTIONS = {
    "BatchMode": "yes",
    "CheckHostIP": "no",
    "ClearAllForwardings": "yes",
    "ConnectTimeout": "10",
    "ControlMaster": "no",
    "ControlPath": "none",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "GlobalKnownHostsFile": "/dev/null",
    "HashKnownHosts": "no",
    "LogLevel": "ERROR",
    "PermitLocalCommand": "no",
    "RequestTTY": "no",
    "ServerAliveCountMax": "3",
    "ServerAliveInterval": "5",
    "StrictHostKeyChecking": "yes",
    "UpdateHostKeys": "no",
    "UserKnownHostsFile": KNOWN_HOSTS,
    "VerifyHostKeyDNS": "no",
}


class Address(NamedTuple):
    """The arguments of OpenSSH for one device; made by `require_safe_address` alone."""

    host: str
    user: str
    port: int = 22
    identity: Path | None = None
    """A private key's file; None leaves it to the agent and OpenSSH's usual files."""
    config: Path | None = None
    """An OpenSSH configuration, for a way through other hosts; None reads none."""


def parse(text: str, *, identity: Path | None = None, config: Path | None = None) -> Address:
    """``user@host`` or ``user@host:port``.

    Raises:
        InputError: unless it has that form.
    """
    user, at, rest = text.partition("@")
    host, colon, port = rest.partition(":")
    if not at or (colon and not re.fullmatch(r"[0-9]{1,5}", port)):
        raise InputError(f"ssh: got {text[:80]!r}, want user@host or user@host:port")
    number = int(port) if colon else 22
    return require_safe_address(Address(host, user, number, _absolute(identity), _absolute(config)))


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.expanduser().absolute()


def require_safe_address(address: Address) -> Address:
    """Return the address.

    Raises:
        InputError: if ssh could take a part of it for anything else.
    """
    for what, text, pattern in (
        ("host", address.host, HOST),
        ("user", address.user, USER),
    ):
        if not pattern.fullmatch(text):
            raise InputError(
                f"{what}: got {text[:80]!r}, want letters, digits, dot, dash, underscore, no dash first"
            )
    if not 1 <= address.port <= 65535:
        raise InputError(f"port: got {address.port}, want 1 to 65535")
    for what, path in (("identity", address.identity), ("config", address.config)):
        if path is not None and ("${" in str(path) or not str(path).isprintable()):
            raise InputError(f"{what}: got {str(path)[:80]!r}, want a path without ${{ or controls")
    return address


def require_device_name(name: str) -> str:
    """Return the name of a device.

    Raises:
        InputError: unless it is one.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"device: got name {name[:80]!r}, want letters, digits, dot, dash, underscore"
        )
    return name


def ssh_command(address: Address, name: str, **changed: str) -> list[str]:
    """Build the command line: ssh, its options, the host and the constant remote command.

    Args:
        address: where.
        name: the device's; its host key is pinned under it.
        changed: options that differ.
    """
    options = {**OPTIONS, "HostKeyAlias": name, **changed}
    words = ["ssh", "-F", str(address.config or "none"), "-T"]
    for option, value in options.items():
        words += ["-o", f"{option}={value}"]
    if address.identity is not None:
        escaped = str(address.identity).replace("%", "%%")  # ssh expands %h and the like
        words += ["-o", "IdentitiesOnly=yes", "-i", escaped]
    destination = f"{address.user}@{address.host}"
    return [*words, "-p", str(address.port), "--", destination, REMOTE]

"""The key a host shows at first contact, and its fingerprint as OpenSSH prints it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from edgekd.devices.ssh.address import KNOWN_HOSTS
from edgekd.devices.ssh.address import Address
from edgekd.devices.ssh.address import ssh_command
from edgekd.errors import MachineError
from edgekd.printable import escape_unprintable

TIMEOUT_S = 60.0
KIND = re.compile(r"[a-z0-9][a-z0-9@.-]{2,63}")


class HostKey(NamedTuple):
    """A host's public key."""

    kind: str
    """``ssh-ed25519`` and the like."""
    data: str
    """base64"""

    @property
    def fingerprint(self) -> str:
        """``SHA256:...``, as ``ssh-keygen -l`` shows it."""
        digest = hashlib.sha256(base64.b64decode(self.data)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")

    def line(self, name: str) -> str:
        """A line of ``known_hosts``."""
        return f"{name} {self.kind} {self.data}\n"


def parse_key(kind: object, data: object) -> HostKey:
    """Parse a host key from its kind and its base64 text.

    Raises:
        ValueError: if either is malformed.
    """
    if not isinstance(kind, str) or not isinstance(data, str) or not KIND.fullmatch(kind):
        raise ValueError("want a key's kind and its base64")
    try:
        base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise ValueError("want base64") from error
    return HostKey(kind, data)


def scan_host_key(address: Address, name: str) -> HostKey:
    """Ask the host for its key, which is not yet trusted.

    The same client over the same way as later, so a jump host works too; no login is tried.

    Raises:
        MachineError: if the host is not reached.
    """
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        changed = {"StrictHostKeyChecking": "accept-new", "PreferredAuthentications": "none"}
        try:
            done = subprocess.run(
                ssh_command(address, name, **changed),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd=folder,
                timeout=TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError as error:
            raise MachineError("ssh: not found", hint="install OpenSSH's client") from error
        except subprocess.TimeoutExpired as error:
            raise MachineError(f"device {name}: is not reached in {TIMEOUT_S:g} s") from error
        known = Path(folder) / KNOWN_HOSTS
        text = known.read_text(errors="replace") if known.exists() else ""
    for line in text.splitlines():
        try:
            _, kind, data = line.split(" ")[:3]
            return parse_key(kind, data)
        except ValueError:
            continue
    why = (done.stderr[-2000:].decode(errors="replace").strip().splitlines() or ["no key shown"])[
        -1
    ]
    raise MachineError(f"device {name}: is not reached: {escape_unprintable(why)[:200]}")

"""A board on loopback: a real sshd of its own keys, and a Python that has no torch and no edgekd.

with Board(folder) as board: ssh.RemoteDevice("board", board.address(), board.config).run(order)
"""

from __future__ import annotations

import contextlib
import getpass
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgekd.devices.ssh import RemoteDevice
from edgekd.devices.ssh import keys
from edgekd.devices.ssh.address import KNOWN_HOSTS
from edgekd.devices.ssh.address import Address

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
KEYGEN = shutil.which("ssh-keygen")
needs_sshd = pytest.mark.skipif(
    SSHD is None or KEYGEN is None or shutil.which("ssh") is None,
    reason="needs sshd, ssh and ssh-keygen: apt-get install openssh-server openssh-client",
)
CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile {folder}/sshd.pid
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
PermitUserEnvironment no
PrintMotd no
MaxStartups 100
SetEnv {environment}
"""
PACKAGES = ("numpy", "numpy.libs", "onnxruntime", "flatbuffers", "google", "packaging")
COUNTED = """#!/bin/sh
echo start >> {log}
exec {python} "$@"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def keygen(path: Path) -> None:
    assert KEYGEN
    words = [KEYGEN, "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(words, check=True)


def python_environment(folder: Path, packages: Sequence[str] = PACKAGES) -> Path:
    """An environment with links to a few packages of this one, and nothing else; its python."""
    subprocess.run(
        [sys.executable, "-I", "-m", "venv", "--without-pip", str(folder)], check=True, timeout=120
    )
    (site,) = folder.glob("lib/python3*/site-packages")
    for name in packages:
        spec = importlib.util.find_spec("numpy")
        assert spec is not None and spec.origin is not None
        here = Path(spec.origin).parents[1]
        for path in (here / name, *here.glob(f"{name}-*.dist-info")):
            if path.exists():
                (site / path.name).symlink_to(path)
    return folder / "bin" / "python"


class Board:
    """A machine of its own, as far as loopback can be one."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder, self.config = folder, folder / "config"
        self.home = folder / "home"
        self.given = dict(environment or {})
        self.port = free_port()
        self._sshd: subprocess.Popen[bytes] | None = None
        for path in (self.config, self.home):
            path.mkdir(parents=True)
        keygen(folder / "host_key")
        keygen(folder / "identity")
        shutil.copy(folder / "identity.pub", folder / "authorized_keys")
        self.python = python_environment(folder / "python")
        self.pin("board")

    @property
    def root(self) -> Path:
        """What edgekd keeps on the board."""
        return self.home / ".cache" / f"edgekd-{os.getuid()}"

    @property
    def key(self) -> keys.HostKey:
        kind, data = (self.folder / "host_key.pub").read_text().split()[:2]
        return keys.HostKey(kind, data)

    def pin(self, name: str, key: keys.HostKey | None = None) -> None:
        (self.config / KNOWN_HOSTS).write_text((key or self.key).line(name))

    def address(self, port: int | None = None) -> Address:
        identity = self.folder / "identity"
        return Address("127.0.0.1", getpass.getuser(), port or self.port, identity)

    def remote(self, port: int | None = None) -> RemoteDevice:
        return RemoteDevice("board", self.address(port), self.config)

    def count_starts(self) -> None:
        """Run workers through a script that notes each start."""
        python = self.root / "venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.write_text(COUNTED.format(log=self.folder / "starts", python=self.python))
        python.chmod(0o700)

    @property
    def starts(self) -> int:
        """How many workers were started since `count_starts`."""
        log = self.folder / "starts"
        return len(log.read_text().splitlines()) if log.exists() else 0

    def up(self) -> None:
        """Start sshd and wait until it listens."""
        assert SSHD
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        environment = {
            "HOME": str(self.home),
            "PATH": f"{self.python.parent}:/usr/bin:/bin",
            "EDGEKD_BOARD": str(self.folder),
            **self.given,
        }
        told = " ".join(f'"{name}={value}"' for name, value in environment.items())
        text = CONFIG.format(port=self.port, folder=self.folder, environment=told)
        (self.folder / "sshd_config").write_text(text)
        words = [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        with (self.folder / "sshd.log").open("ab") as log:
            self._sshd = subprocess.Popen(words, stderr=log)
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.socket() as probe:
                probe.connect(("127.0.0.1", self.port))
                return
            assert self._sshd.poll() is None, (self.folder / "sshd.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def down(self) -> None:
        """End sshd and all that runs on the board, as when its power goes."""
        if self._sshd is not None:
            self._sshd.kill()
            self._sshd.wait()
            self._sshd = None
        for number in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)

    def processes(self) -> list[int]:
        """What runs on the board besides sshd: by the environment, folder or words of a process."""
        mark, home = f"EDGEKD_BOARD={self.folder}".encode(), str(self.home)
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                ours = mark in (entry / "environ").read_bytes().split(b"\0")
                if ours or str((entry / "cwd").readlink()).startswith(home):
                    found.append(int(entry.name))
        return found

    def settled(self, within_s: float = 10.0) -> list[int]:
        """What still runs on the board after a while."""
        deadline = time.monotonic() + within_s
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left

    def __enter__(self) -> Board:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

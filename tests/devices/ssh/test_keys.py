from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from edgekd.devices.ssh import keys
from tests.devices.sshd import keygen


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen: openssh-client")
def test_the_fingerprint_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    keygen(tmp_path / "key")
    kind, data = (tmp_path / "key.pub").read_text().split()[:2]
    words = ["ssh-keygen", "-l", "-f", str(tmp_path / "key.pub")]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    key = keys.parse_key(kind, data)
    assert key.fingerprint == told[1]
    assert key.line("pi") == f"pi {kind} {data}\n"


@pytest.mark.parametrize(
    ("kind", "data"),
    [("", "AAAA"), ("ssh ed", "AAAA"), ("ssh-ed25519", "A A"), ("ssh-ed25519", "A"), (1, "AAAA")]
    + [("ssh-ed25519", None), ("-x", "AAAA"), ("ssh-ed25519\nhost", "AAAA")],
)
def test_no_key(kind: object, data: object) -> None:
    with pytest.raises(ValueError, match="want"):
        keys.parse_key(kind, data)

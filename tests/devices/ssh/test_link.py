"""Devices that say what they should not: another ssh stands in for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekd.device import WorkerJob
from edgekd.devices import ssh
from edgekd.devices.ssh.address import Address
from edgekd.errors import InputError
from edgekd.errors import MachineError

HELLO = b'edgekd-hello {"held": true}\n'
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ENDED = {
    "say": "ended",
    "returncode": 0,
    "timed_out": False,
    "overflowed": False,
    "drawn": {},
    "stdout": [EMPTY, 0],
    "stderr": [EMPTY, 0],
    "files": {},
}
SHIM = """#!/bin/sh
cat "{folder}/said"
cat "{folder}/complained" >&2
{then}
"""
Says = Callable[..., ssh.RemoteDevice]


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    """A device that says some bytes, whatever it is asked."""

    def make(
        said: bytes, complained: bytes = b"", then: str = "cat > /dev/null"
    ) -> ssh.RemoteDevice:
        (tmp_path / "said").write_bytes(said)
        (tmp_path / "complained").write_bytes(complained)
        (tmp_path / "ssh").write_text(SHIM.format(folder=tmp_path, then=then))
        (tmp_path / "ssh").chmod(0o700)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return ssh.RemoteDevice("pi", Address("host", "user"), tmp_path)

    return make


def order(tmp_path: Path, **reads: Path) -> WorkerJob:
    return WorkerJob("json.tool", {}, {}, 1.0, reads, tmp_path)


def refused(remote: ssh.RemoteDevice, given: WorkerJob) -> str:
    with pytest.raises(MachineError) as caught:
        remote.run(given)
    remote.close()
    line = caught.value.line()
    assert line.startswith("device pi: ") and line.isprintable() and len(line) < 400
    return line


def told(**fields: object) -> bytes:
    return HELLO + json.dumps({**ENDED, **fields}).encode() + b"\n"


def test_one_that_keeps_to_it(says: Says, tmp_path: Path) -> None:
    remote = says(b"some noise\n" + told())
    assert remote.run(order(tmp_path)).returncode == 0
    remote.close()


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"x\n" * 1000, "first words"),
        (b"x" * 2**22, "more than it was asked"),
        (b"edgekd-hello []\n", "a JSON object"),
        (b'edgekd-hello {"refused": "no \\u001b[2J python"}\n', "no \\x1b[2J python"),
        (HELLO + b"[" * 10**5 + b"\n", "a JSON object"),
        (HELLO + b'{"say": "need", "sha256": "../../etc/passwd"}\n', "a word of the protocol"),
        (HELLO + b'{"say": "need", "sha256": ["x"]}\n', "a word of the protocol"),
        (HELLO + b'{"say": "busy", "holder": "\\u001b[31mroot"}\n', "is used by \\x1b[31mroot"),
        (HELLO + b'{"say": "refused", "message": {"a": "\\u009b"}}\n', "{'a': '\\x9b'}"),
        (HELLO + b'{"say": "started"}\n' * 9, "a word of the protocol"),
        (HELLO + b'{"say": "\\u001b]0;title\\u0007"}\n', "a word of the protocol"),
        (told(files={"../x": [EMPTY, 0]}), "file name"),
        (told(stdout=["0" * 64, 3]) + b"abc", "stdout: got bytes of digest"),
        (told(files={"x": ["0" * 64, 3]}) + b"abc", "x: got bytes of digest"),
        (told(files={"x": [EMPTY, 2**60]}), "a result of the known shape"),
    ],
)  # fmt: skip
def test_one_that_does_not(says: Says, tmp_path: Path, said: bytes, text: str) -> None:
    goal = tmp_path / "goal"
    goal.mkdir()
    line = refused(says(said), order(tmp_path)._replace(goal=goal))
    assert text in line, line
    assert list(goal.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "complained", "text"),
    [
        (255, b"ssh: connect to host h port 22: Connection refused", "is not reached"),
        (255, b"user@h: Permission denied (publickey).", "Permission denied"),
        (255, b"Host key verification failed.", "device rm"),
        (127, b"bash: line 1: python3: command not found", "Python 3.11"),
        (1, b"Traceback\nImportError: \x1b[2Jno", "ImportError: \\x1b[2Jno"),
        (0, b"", "is not reached"),
    ],
)
def test_ends_at_once(says: Says, tmp_path: Path, code: int, complained: bytes, text: str) -> None:
    assert text in refused(says(b"", complained, f"exit {code}"), order(tmp_path))


@pytest.mark.parametrize("size", [9, 11])
def test_a_file_that_changes_under_us(
    says: Says, tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"x" * size)
    monkeypatch.setattr(ssh.request.DigestCache, "of", lambda self, path: (EMPTY, 10))
    need = json.dumps({"say": "need", "sha256": EMPTY}).encode() + b"\n"
    remote = says(HELLO + need)
    with pytest.raises(InputError, match="was changed while"):
        remote.run(order(tmp_path, file=tmp_path / "file"))


def test_one_that_is_silent(says: Says, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "CONNECT_S", 0.2)
    assert "does not answer" in refused(says(b""), order(tmp_path))


def test_one_that_never_stops_complaining(says: Says, tmp_path: Path) -> None:
    remote = says(told(), b"x" * 2**20)
    assert remote.run(order(tmp_path)).returncode == 0
    remote.close()


def test_one_that_cuts_the_link_for_ever(
    says: Says, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ssh, "RECONNECT_S", 60)
    monkeypatch.setattr(ssh, "CUTS", 4)
    assert "cut 4 times" in refused(says(HELLO, b"", "sleep 0.3; exit 255"), order(tmp_path))

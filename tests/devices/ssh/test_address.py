from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekd.device import WorkerJob
from edgekd.devices import ssh
from edgekd.devices.ssh import address
from edgekd.errors import InputError
from edgekd.errors import MachineError

HARM = ["-oProxyCommand=touch x", "touch x", "id", "/bin/sh -c id", "a b"]
WRAPS = [
    "{}", "-{}", "--{}", ";{}", "$({})", "`{}`", "|{}", "&{}&", "\n{}\n", "'{}'", '"{}"', "${{{}}}", "%h{}", "~{}",
    "../{}", "{}\0", "\x1b[2J{}", "host {}", "host;{}", "host\n{}", "@{}", "host:{}", "[{}]", "{{{}}}", "*{}", "#{}",
    "!{}", "\\{}", "host/{}", "é{}", "host,{}", "\t{}", "={}", "host=-{}", "-F{}", "-i{}", "-p{}", "-w{}", "<{}", ">{}",
]  # fmt: skip
STRINGS = [wrap.format(harm) for wrap, harm in itertools.product(WRAPS, HARM)]
SHIM = """#!/bin/sh
printf '%s\\0' "$@" > "{log}"
env > "{log}.env"
exit 255
"""


@pytest.fixture
def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Puts another ssh before the real one; gives what it was executed with, [] if it was not."""
    folder, log = tmp_path / "bin", tmp_path / "log"
    folder.mkdir()
    (folder / "ssh").write_text(SHIM.format(log=log))
    (folder / "ssh").chmod(0o700)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def words() -> list[str]:
        text = log.read_bytes().decode() if log.exists() else ""
        log.unlink(missing_ok=True)
        return text.split("\0")[:-1]

    return words


def test_there_are_200() -> None:
    assert len(set(STRINGS)) == 200


@pytest.mark.parametrize("field", ["host", "user", "name"])
def test_no_string_passes_for_a_host_a_user_or_a_name(
    field: str, executed: Callable[[], list[str]]
) -> None:
    for text in STRINGS:
        if text == "id":
            continue  # a good name
        with pytest.raises(InputError):
            if field == "name":
                address.require_device_name(text)
            else:
                address.require_safe_address(
                    address.Address("host", "user")._replace(**{field: text})
                )
        with pytest.raises(InputError):
            address.parse(f"user@{text}" if field == "host" else f"{text}@host")
        with pytest.raises(InputError):
            address.parse(f"user@host:{text}")
    assert executed() == []


def test_no_string_changes_what_is_executed(
    executed: Callable[[], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the device's answer never comes, each order ends at the first contact."""
    plain = address.require_safe_address(address.Address("host", "user", 2222))
    reference = address.ssh_command(plain, "board")
    (tmp_path / "file").write_text("x")
    for text in STRINGS:
        with pytest.raises(MachineError):
            order = WorkerJob(text, {text: text}, {text: text}, 1.0, {"file": tmp_path / "file"})
            monkeypatch.setenv("LANG", text.replace("\0", ""))
            monkeypatch.setenv("EDGEKD_OTHER", text.replace("\0", ""))
            ssh.RemoteDevice("board", plain, tmp_path).run(order)
        assert ["ssh", *executed()] == reference
        assert "EDGEKD_OTHER" not in (tmp_path / "log.env").read_text()


def test_a_path_is_one_word(executed: Callable[[], list[str]], tmp_path: Path) -> None:
    used = 0
    for text in STRINGS:
        where = address.Address("host", "user", 22, Path("/keys") / text, Path("/configs") / text)
        try:
            words = address.ssh_command(address.require_safe_address(where), "board")
        except InputError:
            continue
        used += 1
        bare = address.ssh_command(where._replace(identity=None, config=None), "board")
        identity = str(where.identity).replace("%", "%%")
        extra = [str(where.config), "-o", "IdentitiesOnly=yes", "-i", identity]
        rest = [word for word in words if word not in extra]
        assert rest == [word for word in bare if word not in ("none", "-o")]
        assert words[-2:] == bare[-2:] and words[2] == extra[0]
        with pytest.raises(MachineError):
            ssh.RemoteDevice("board", where, tmp_path).probe([])
        assert ["ssh", *executed()] == words
    assert used > 100


def test_what_is_executed() -> None:
    words = address.ssh_command(address.parse("pi@board.local:2222"), "pi")
    assert words[:4] == ["ssh", "-F", "none", "-T"]
    assert words[-5:-1] == ["-p", "2222", "--", "pi@board.local"]
    assert words[-1] == address.REMOTE and "\n" not in address.REMOTE
    for option in ("BatchMode=yes", "StrictHostKeyChecking=yes", "HostKeyAlias=pi"):
        assert option in words


@pytest.mark.parametrize(
    "text",
    ["host", "@host", "user@", "user@host:", "user@host:0", "user@host:65536", "u@h:1:2", ""],
)
def test_no_address(text: str) -> None:
    with pytest.raises(InputError):
        address.parse(text)

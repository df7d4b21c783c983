from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekd.devices.ssh import agent
from edgekd.devices.ssh import payload
from edgekd.devices.ssh.address import REMOTE


def told(source: bytes, data: bytes, home: Path, *, length: int | None = None) -> tuple[int, str]:
    """Exit code and stdout of the remote command, as a login shell runs it."""
    done = subprocess.run(
        ["/bin/sh", "-c", REMOTE],
        input=b"%d\n" % (len(source) if length is None else length) + source + data,
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout.decode()


def header(**fields: Any) -> bytes:
    code = payload.build_payload()
    value = {"payload": code.sha256, "size_bytes": len(code.data), **fields}
    return json.dumps(value).encode() + b"\n"


def test_the_payload_is_put_there_once(tmp_path: Path) -> None:
    code = payload.build_payload()
    status, text = told(payload.agent_source(), header() + code.data, tmp_path)
    assert status == 0
    first, second = text.splitlines()
    assert first == agent.HELLO + '{"held": false}' and json.loads(second) == {"say": "ready"}
    root = tmp_path / ".cache" / f"edgekd-{os.getuid()}"
    (folder,) = (root / "code").iterdir()
    assert folder.name == code.sha256 and (folder / "edgekd" / "bench" / "worker.py").exists()
    assert root.stat().st_mode & 0o777 == 0o700
    assert told(payload.agent_source(), header(), tmp_path) == (0, agent.HELLO + '{"held": true}\n')


@pytest.mark.parametrize("kept", [0, 1000, -1])
def test_a_part_of_the_program_is_not_run(tmp_path: Path, kept: int) -> None:
    source = payload.agent_source()
    assert told(source[:kept], b"", tmp_path, length=len(source)) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_a_payload_that_came_through_changed_is_not_kept(tmp_path: Path) -> None:
    data = payload.build_payload().data
    for broken in (data[:-1], data[:-1] + b"x", b""):
        status, _ = told(payload.agent_source(), header() + broken, tmp_path)
        assert status == 1
    assert not list(tmp_path.rglob("code/*"))


def test_an_old_python_is_told_what_is_wanted(tmp_path: Path) -> None:
    source = payload.agent_source().replace(b"OLDEST_PYTHON = (3, 11)", b"OLDEST_PYTHON = (99, 1)")
    status, text = told(source, header(), tmp_path)
    value = json.loads(text.removeprefix(agent.HELLO))
    assert status == 0 and "want 99.1 or newer" in value["refused"]


def test_a_folder_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / f"edgekd-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    _, text = told(payload.agent_source(), header(), tmp_path)
    assert "no folder of this user's own" in text
    assert list((tmp_path / "elsewhere").iterdir()) == []


def damage_source(code: Path) -> None:
    path = code / "edgekd" / "files.py"
    path.write_bytes(path.read_bytes()[:-100])


def lose_source(code: Path) -> None:
    (code / "edgekd" / "devices" / "ssh" / "board" / "home.py").unlink()


def damage_package(code: Path) -> None:
    data = bytearray((code / agent.PAYLOAD_FILE).read_bytes())
    data[-5] ^= 1
    (code / agent.PAYLOAD_FILE).write_bytes(data)


def lose_package(code: Path) -> None:
    (code / agent.PAYLOAD_FILE).unlink()


def lose_all(code: Path) -> None:
    shutil.rmtree(code)
    code.write_text("a file where the folder was")


def link_elsewhere(code: Path) -> None:
    code.rename(code.with_name("elsewhere"))
    lose_source(code.with_name("elsewhere"))
    code.symlink_to("elsewhere")


@pytest.mark.parametrize(
    "damage",
    [damage_source, lose_source, damage_package, lose_package, lose_all, link_elsewhere],
)
def test_damaged_code_is_put_there_again(damage: Callable[[Path], None], tmp_path: Path) -> None:
    code = payload.build_payload()
    told(payload.agent_source(), header() + code.data, tmp_path)
    root = tmp_path / ".cache" / f"edgekd-{os.getuid()}" / "code"
    damage(root / code.sha256)
    status, text = told(payload.agent_source(), header() + code.data, tmp_path)
    assert status == 0 and text.splitlines()[0] == agent.HELLO + '{"held": false}'
    for name, data in payload._entries():
        assert (root / code.sha256 / name).read_bytes() == data
    assert not list(root.glob(".tmp-*"))
    assert told(payload.agent_source(), header(), tmp_path) == (0, agent.HELLO + '{"held": true}\n')

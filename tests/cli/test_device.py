from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from click.testing import Result

from edgekd import cli
from edgekd import devices
from edgekd.device import WorkerJob
from edgekd.errors import InputError
from edgekd.errors import MachineError
from tests.devices.sshd import Board
from tests.devices.sshd import needs_sshd


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKD_CONFIG", str(tmp_path / "con fig"))
    return tmp_path / "con fig"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    with Board(tmp_path_factory.mktemp("board")) as board:
        yield board


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["device", *arguments])


def add(board: Board, *more: str) -> Result:
    address = board.address()
    where = f"{address.user}@{address.host}:{address.port}"
    return run("add", "board", "--ssh", where, "--identity", str(address.identity), *more)


def wheel(folder: Path, name: str) -> None:
    """A wheel with nothing in it."""
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        tags = "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr(f"{info}/WHEEL", tags)
        archive.writestr(f"{info}/RECORD", "")


@needs_sshd
def test_from_add_to_rm(board: Board, config: Path) -> None:
    assert "no device but local" in run("ls").stdout
    done = add(board, "--fingerprint", board.key.fingerprint)
    assert done.exit_code == 0, done.output
    assert (config / "known_hosts").read_text() == board.key.line("board")
    (row,) = json.loads(run("ls", "--json").stdout)
    assert row["name"] == "board" and row["fingerprint"] == board.key.fingerprint

    told = json.loads(run("doctor", "board", "--json").stdout)
    lacks = ["openvino"] if told["machine"] == "x86_64" else []
    assert told["packages"]["onnxruntime"] and told["missing"] == lacks
    assert told["install"] == ("edgekd device setup board" if lacks else None)
    assert told["free_disk_bytes"] > 0
    device = devices.find_device("board")
    assert b'"a": 1' in device.run(WorkerJob("json.tool", {"a": 1}, {}, 30)).stdout
    assert devices.find_device("board") is device  # one link a process
    device.run.__self__.close()  # type: ignore[attr-defined]

    assert run("rm", "board").exit_code == 0
    assert (config / "known_hosts").read_text() == ""
    assert isinstance(run("doctor", "board").exception, InputError)


@needs_sshd
def test_setup_from_wheels(board: Board, tmp_path: Path) -> None:
    """The board's own packages are left alone; the private environment has what was pushed."""
    add(board, "--yes")
    for name in ("numpy", "onnxruntime", "unasked"):
        wheel(tmp_path, name)
    done = run("setup", "board", "--wheels", str(tmp_path), "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["private"] and told["packages"] == {
        "numpy": "1.0",
        "onnxruntime": "1.0",
        "openvino": None,
    }


@needs_sshd
def test_add_asks_and_takes_no_other_key(board: Board, config: Path) -> None:
    done = add(board)
    assert isinstance(done.exception, InputError) and board.key.fingerprint in done.output
    done = add(board, "--fingerprint", "SHA256:" + "A" * 43)
    assert isinstance(done.exception, MachineError)
    assert not config.exists()


def test_what_is_not_reached(config: Path) -> None:
    done = run("add", "x", "--ssh", "user@127.0.0.1:1", "--yes")
    assert isinstance(done.exception, MachineError) and "refused" in str(done.exception)
    assert not config.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "local", "--ssh", "u@127.0.0.1:1"],
        ["add", "x;y", "--ssh", "u@h"],
        ["add", "x", "--ssh", "-oProxyCommand=id@h"],
        ["rm", "x"],
        ["doctor", "local"],
        ["setup", "x", "--index", "http://x", "--wheels", "."],
    ],
)
def test_wrong_input(arguments: list[str], config: Path) -> None:
    done = run(*arguments)
    assert isinstance(done.exception, InputError | MachineError), done.output
    assert not config.exists()


def test_a_list_of_devices_that_is_none(config: Path) -> None:
    config.mkdir()
    for text in ("{", "[]", '{"format": "x", "devices": {}}', '{"format": "edgekd.devices/1"}'):
        (config / "devices.json").write_text(text)
        assert isinstance(run("ls").exception, InputError)
    entry = {"host": "-oX", "user": "u", "port": 22, "identity": None, "config": None}
    entries = {"a": {**entry, "key": ["ssh-ed25519", "AAAA"]}}
    (config / "devices.json").write_text(
        json.dumps({"format": "edgekd.devices/1", "devices": entries})
    )
    assert isinstance(run("ls").exception, InputError)

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekd.bench.process import WorkerFailed
from edgekd.bench.process import run_worker
from edgekd.device import Device
from edgekd.device import WorkerExit
from edgekd.device import WorkerJob
from edgekd.devices import ssh
from edgekd.devices.ssh import payload
from edgekd.devices.ssh import request
from edgekd.devices.ssh.link import Link
from edgekd.errors import MachineError
from tests.devices.sshd import Board
from tests.devices.sshd import keygen
from tests.devices.sshd import needs_sshd

pytestmark = needs_sshd

COMPILE = {"job": "compile", "runtime": "null", "precision": "fp32", "kernels": False}
MEMORY = {
    "job": "memory",
    "runtime": "null",
    "files": {"model.json": "in/model.json"},
    "precision": "fp32",
    "threads": 1,
    "batch": 1,
    "seed": 0,
    "steady": {"min_ns": 1},
}
COUNT = iter(range(10**6))


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    with Board(tmp_path_factory.mktemp("board")) as board:
        board.count_starts()
        yield board


@pytest.fixture
def remote(board: Board) -> Iterator[ssh.RemoteDevice]:
    remote = board.remote()
    yield remote
    remote.close()


@pytest.fixture
def order(tmp_path: Path) -> Callable[..., WorkerJob]:
    """An order nobody has asked for yet."""

    def make(spec: dict[str, Any] = COMPILE, timeout_s: float = 30, **model: Any) -> WorkerJob:
        (tmp_path / "model").write_text(json.dumps({"features": 4, **model}))
        goal = tmp_path / "goal"
        goal.mkdir(exist_ok=True)
        name = "model.onnx" if spec["job"] == "compile" else "model.json"
        number = next(COUNT)
        told = {**spec, "token": f"token-{number}", "number": number}
        reads = {name: tmp_path / "model"}
        return WorkerJob("edgekd.bench.worker", told, {}, timeout_s, reads, goal)

    return make


def slow(order: Callable[..., WorkerJob], seconds: float, timeout_s: float = 30) -> WorkerJob:
    return order(MEMORY, timeout_s, load_ms=seconds * 1000)


def last(ended: WorkerExit) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return value


def begin(board: Board, order: WorkerJob) -> Link:
    """A link over which `order` has been asked and its worker started."""
    remote = board.remote()
    link = remote._connect()
    link.send(request_of(order).frame | {"wait_s": 5})
    while link.receive()["say"] != "started":
        for path in order.reads.values():
            link.put(path.read_bytes())
    return link


def detached(board: Board, order: WorkerJob) -> bool:
    """Whether the order's keeper has a session of its own, and no end of the link's pipes."""
    number = (board.root / "jobs" / request_of(order).identity / "keeper").read_text()
    ends = {os.readlink(f"/proc/{number}/fd/{fd}") for fd in range(3)}  # noqa: PTH115
    return os.getsid(int(number)) == int(number) and ends == {os.devnull}


def request_of(order: WorkerJob) -> request.Request:
    code = payload.build_payload().sha256
    return request.make_request(
        order, request.DigestCache().of, code=code, holder=request.holder_name()
    )


def test_an_order_and_what_it_leaves(
    board: Board, remote: ssh.RemoteDevice, order: Callable[..., WorkerJob]
) -> None:
    before = board.starts
    given = order()
    ended = remote.run(given)
    assert (ended.returncode, ended.timed_out, ended.overflowed) == (0, False, False)
    assert last(ended)["token"] == given.spec["token"] and "result" in last(ended)
    assert given.goal is not None
    assert [path.name for path in given.goal.iterdir()] == ["model.json"]
    assert (given.goal / "model.json").read_bytes() == given.reads["model.onnx"].read_bytes()
    remote.close()
    assert board.settled() == [] and list((board.root / "jobs").iterdir()) == []
    assert board.starts == before + 1
    assert board.root.stat().st_mode & 0o777 == 0o700


def test_a_worker_finds_what_was_pushed_and_nothing_of_ours(remote: ssh.RemoteDevice) -> None:
    device = Device("board", remote.run)
    told = run_worker("site", {}, timeout_s=60, device=device)
    assert told["facts"]["machine"] and told["missing"]["onnxruntime"] is None
    assert set(told["modules"]) <= {"__main__", "edgekd"}
    assert told["missing"]["openvino"] is not None  # this environment has it, the board has not


def test_a_worker_that_crashes_or_hangs_is_told_and_leaves_nothing(
    board: Board, remote: ssh.RemoteDevice, order: Callable[..., WorkerJob]
) -> None:
    ended = remote.run(order(MEMORY, fault="segfault", fault_at="load"))
    assert ended.returncode == -11 and b"load" in ended.stdout
    ended = remote.run(order(MEMORY, 1.0, fault="hang", fault_at="load"))
    assert ended.timed_out and ended.returncode == -9
    device = Device("board", remote.run)
    with pytest.raises(WorkerFailed, match="ended without a result"):
        run_worker(
            "memory",
            {**MEMORY, "number": next(COUNT)},
            timeout_s=30,
            reads=dict(order(MEMORY, fault="exit", fault_at="load").reads),
            device=device,
        )
    remote.close()
    assert board.settled() == []


@pytest.mark.parametrize("pinned", ["another key", "none"])
def test_a_wrong_host_key(
    board: Board, order: Callable[..., WorkerJob], pinned: str, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.mkdir()
    keygen(tmp_path / "other")
    kind, data = (tmp_path / "other.pub").read_text().split()[:2]
    line = f"board {kind} {data}\n" if pinned == "another key" else ""
    (config / "known_hosts").write_text(line)
    before = board.starts
    for reached in (False, True):
        remote = ssh.RemoteDevice("board", board.address(), config)
        remote._reached = reached  # a key that changes between two links is refused as well
        with pytest.raises(MachineError, match="[Hh]ost key|HOST IDENT") as caught:
            remote.run(order())
        assert caught.value.exit_code == 3
    assert board.starts == before and (config / "known_hosts").read_text() == line


def test_one_at_a_time(
    board: Board,
    remote: ssh.RemoteDevice,
    order: Callable[..., WorkerJob],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ssh, "LEASE_WAIT_S", 0.3)
    link = begin(board, slow(order, 3))
    with pytest.raises(MachineError, match=f"is used by {request.holder_name()}"):
        remote.run(order())
    link.close()
    monkeypatch.setattr(ssh, "LEASE_WAIT_S", 30)
    assert remote.run(order()).returncode == 0  # waits for the worker that was left alone


def test_a_controller_that_comes_back_gets_what_is_done(
    board: Board, remote: ssh.RemoteDevice, order: Callable[..., WorkerJob]
) -> None:
    before = board.starts
    given = slow(order, 1)
    begin(board, given).close()
    assert detached(board, given)
    drawn = {**given.spec, "token": "drawn anew"}
    ended = remote.run(given._replace(spec=drawn, environment={"EDGEKD_PADDING": "xxx"}))
    assert last(ended)["token"] == "drawn anew" and board.starts == before + 1
    remote.run(given)
    assert board.starts == before + 2  # what was fetched is not kept for a second asking


def test_an_interrupted_order_ends_on_the_device(
    board: Board,
    remote: ssh.RemoteDevice,
    order: Callable[..., WorkerJob],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = slow(order, 60, timeout_s=120)

    def interrupted(link: Link, asked: Any, order: WorkerJob) -> WorkerExit:
        link.close()
        begin(board, order).close()
        raise KeyboardInterrupt

    monkeypatch.setattr(ssh, "_carry_out", interrupted)
    with pytest.raises(KeyboardInterrupt):
        remote.run(given)
    assert board.settled() == []
    assert not (board.root / "jobs" / request_of(given).identity).exists()


def test_a_reboot_under_a_worker(
    board: Board, remote: ssh.RemoteDevice, order: Callable[..., WorkerJob]
) -> None:
    before, ends = board.starts, []
    given = slow(order, 2)
    thread = threading.Thread(target=lambda: ends.append(remote.run(given)))
    thread.start()
    deadline = time.monotonic() + 30
    while board.starts == before and time.monotonic() < deadline:
        time.sleep(0.02)
    board.down()
    time.sleep(0.3)
    board.up()
    thread.join(60)
    assert [last(ended)["token"] for ended in ends] == [given.spec["token"]]
    assert board.starts == before + 2


def test_a_device_that_does_not_come_back(
    board: Board,
    remote: ssh.RemoteDevice,
    order: Callable[..., WorkerJob],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ssh, "RECONNECT_S", 0.5)
    remote.run(order())
    board.down()
    try:
        with pytest.raises(MachineError, match="not reached again"):
            remote.run(order())
        with pytest.raises(MachineError, match="is not reached"):
            board.remote().run(order())
    finally:
        board.up()


def test_a_full_disk(board: Board, order: Callable[..., WorkerJob]) -> None:
    """Durable operations on the device: three for the file it reads, three for the result."""
    for operation in (1, 2, 4, 5, 6):
        board.down()
        board.given["EDGEKD_FAULT"] = f"enospc@{operation}"
        board.up()
        given, remote = order(operation=operation), board.remote()
        try:
            ended = remote.run(given)
        except MachineError as error:
            assert "the disk is full" in str(error) and error.exit_code == 3
        else:
            assert last(ended)["token"] == given.spec["token"]
            assert operation == 6  # the result stands already
        finally:
            remote.close()
            del board.given["EDGEKD_FAULT"]
    board.down()
    board.up()
    remote = board.remote()
    assert (
        last(remote.run(given))["token"] == given.spec["token"]
    )  # nothing half done is in its way
    remote.close()


def test_a_changed_file_on_the_device_is_pushed_again(
    board: Board, order: Callable[..., WorkerJob]
) -> None:
    given = order(changed=True)
    for change in (b"x", b"", None):
        remote = board.remote()
        assert remote.run(given).returncode == 0
        remote.close()
        sha256, _ = request_of(given).frame["reads"]["model.onnx"]
        path = board.root / "cas" / sha256
        path.unlink()
        if change is not None:
            path.write_bytes(change)


def test_what_a_login_shell_prints_does_not_count(
    board: Board, order: Callable[..., WorkerJob]
) -> None:
    (board.home / ".bashrc").write_text("echo; echo 'Welcome to your board'; echo '{\"say\": 1}'\n")
    try:
        remote = board.remote()
        assert remote.run(order()).returncode == 0
        remote.close()
    finally:
        (board.home / ".bashrc").unlink()


def test_old_jobs_are_forgotten(board: Board, order: Callable[..., WorkerJob]) -> None:
    left = board.root / "jobs" / ("0" * 32)
    left.mkdir(parents=True)
    os.utime(left, (0, 0))
    remote = board.remote()
    remote.run(order())
    remote.close()
    assert not left.exists()


def test_code_that_is_not_there_is_pushed(board: Board, order: Callable[..., WorkerJob]) -> None:
    shutil.rmtree(board.root / "code")
    remote = board.remote()
    assert remote.run(order()).returncode == 0
    remote.close()
    (code,) = (board.root / "code").iterdir()
    assert code.name == payload.build_payload().sha256

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from edgekd.device import WorkerJob
from edgekd.devices import child
from edgekd.devices import local

# `python -I -m MODULE` runs any module; these of the standard library stand in for a worker


def test_stdin_stdout_and_exit_code() -> None:
    ended = local.run(WorkerJob("json.tool", {"a": 1}, {}, 30))
    assert (ended.returncode, ended.timed_out, ended.overflowed) == (0, False, False)
    assert b'"a": 1' in ended.stdout
    assert b'"spawned_ns"' in ended.stdout and b'"parent_pid"' in ended.stdout
    ended = local.run(WorkerJob("no_such_module", {}, {}, 30))
    assert ended.returncode == 1 and b"no_such_module" in ended.stderr


def test_a_slow_one_is_killed() -> None:
    start = time.monotonic()
    ended = local.run(WorkerJob("http.server", {}, {}, 0.5))
    assert ended.timed_out and ended.returncode == -9
    assert time.monotonic() - start < 10


def test_one_that_writes_for_ever_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "STDOUT_BYTES", 1000)
    # json.tool echoes its input
    ended = local.run(WorkerJob("json.tool", {"x": "x" * 5000}, {}, 30))
    assert ended.overflowed and len(ended.stdout) == 1000


def test_only_plain_files_come_back(tmp_path: Path) -> None:
    left, goal = tmp_path / "out", tmp_path / "goal"
    for folder in (left, goal, left / "folder"):
        folder.mkdir()
    (left / "a.npy").write_bytes(b"kept")
    (left / ".hidden").write_bytes(b"")
    (left / "link").symlink_to("/etc/passwd")
    os.mkfifo(left / "pipe")
    local._take(left, goal)
    assert [path.name for path in goal.iterdir()] == ["a.npy"]


def test_little_is_inherited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    said = []

    class Popen(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            said.append(more["env"])
            super().__init__(*arguments, **more)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    local.run(WorkerJob("json.tool", {}, {"ADDED": "1"}, 30))
    assert said[0]["ADDED"] == "1" and said[0]["LC_ALL"] == "C.UTF-8"
    assert "SECRET_TOKEN" not in said[0] and set(said[0]) <= {"ADDED", *local.INHERITED}

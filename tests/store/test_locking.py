"""Locks: who waits, who is refused, and that a lock file is never somebody else's file."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from edgekd.errors import MachineError
from edgekd.store import locking


def holder(path: Path) -> subprocess.Popen[bytes]:
    code = (
        "import sys,time,pathlib\nfrom edgekd.store import locking\n"
        f"with locking.hold_lock(pathlib.Path({str(path)!r})):\n print('held',flush=True); time.sleep(60)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    return child


def test_a_second_holder_waits_and_the_kernel_frees_a_dead_one_s_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("process 4194304, and what an earlier holder said")
    child = holder(path)
    with (
        pytest.raises(MachineError, match=rf"process {child.pid}\)$") as caught,
        locking.hold_lock(path, wait=False, hint="go away"),
    ):
        pass
    assert caught.value.hint == "go away"
    with locking.try_exclusive_lock(path) as alone:
        assert not alone
    heard: list[str] = []
    threading.Timer(0.3, child.kill).start()
    start = time.monotonic()
    with locking.hold_lock(path, waiting=heard.append):
        assert 0.2 < time.monotonic() - start < 10
    assert heard == [f"process {child.pid}"]
    child.wait()
    assert child.stdout is not None
    child.stdout.close()
    with locking.try_exclusive_lock(path) as alone:
        assert alone


def test_sharers_keep_one_alone_out(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locking.hold_lock(path, shared=True), locking.hold_lock(path, shared=True, wait=False):
        with locking.try_exclusive_lock(path) as alone:
            assert not alone
        with pytest.raises(MachineError), locking.hold_lock(path, wait=False):
            pass


@pytest.mark.parametrize("what", ["symlink", "hardlink", "fifo", "folder"])
def test_a_lock_file_is_a_file_of_its_own(tmp_path: Path, what: str) -> None:
    mine, path = tmp_path / "mine.txt", tmp_path / "lock"
    mine.write_text("dear diary")
    make = {
        "symlink": lambda: path.symlink_to(mine),
        "hardlink": lambda: path.hardlink_to(mine),
        "fifo": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }
    make[what]()
    with pytest.raises(MachineError, match="cannot be locked"), locking.hold_lock(path):
        pass
    assert mine.read_text() == "dear diary"


def test_of_what_a_holder_says_200_bytes_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("h" * 300)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(MachineError) as caught, locking.hold_lock(path, wait=False):
            pass
    assert str(caught.value) == f"{tmp_path}: is used by another run ({'h' * 200})"


def test_a_lock_file_is_its_owner_s_and_is_closed(tmp_path: Path) -> None:
    (tmp_path / "twice").touch()
    (tmp_path / "twin").hardlink_to(tmp_path / "twice")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with locking.hold_lock(tmp_path / "lock"):
        assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
    with locking.try_exclusive_lock(tmp_path / "lock"):
        pass
    with pytest.raises(MachineError), locking.hold_lock(tmp_path / "twin"):
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before

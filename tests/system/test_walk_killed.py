"""Walks that are killed, run out of disk or go on beside each other: processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekd.store import Store
from tests import walk_example
from tests.walk_example import calls
from tests.walk_example import snapshot
from tests.walk_example import walk

WALK = (
    "import sys; sys.path.insert(0, {folder!r}); import walk_example as t; t.walk(t.Path({root!r}))"
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return walk_example.begun(tmp_path, monkeypatch)


def child(root: Path, fault: str = "") -> subprocess.Popen[bytes]:
    code = WALK.format(folder=str(Path(walk_example.__file__).parent), root=str(root))
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "EDGEKD_FAULT": fault})


def test_killed_at_every_durable_operation_it_ends_with_the_same_bytes(root: Path) -> None:
    log = root / "operations"
    assert child(root, f"log:{log}").wait() == 0
    want, operations = snapshot(root), len(log.read_text().splitlines())
    assert operations > 30
    for at in range(1, operations + 1):
        folder = root / f"kill-{at}"
        folder.mkdir()
        (folder / "source").write_bytes(b"hello")
        assert child(folder, f"kill@{at}").wait() == -9
        walk(folder)
        assert snapshot(folder) == want
        assert not list(folder.rglob(".tmp-*"))


def test_a_full_disk_loses_nothing(root: Path) -> None:
    for at in (1, 5, 9, 20, 31):
        folder = root / f"full-{at}"
        folder.mkdir()
        (folder / "source").write_bytes(b"hello")
        assert child(folder, f"enospc@{at}").wait() != 0
        walk(folder)
        assert len(list((folder / "store" / "ac").iterdir())) == 3


def test_walkers_on_one_store_make_each_result_once(root: Path) -> None:
    children = [child(root) for _ in range(4)]
    assert [c.wait() for c in children] == [0] * 4
    assert calls(root) == 3
    assert Store(root / "store").verify() == []

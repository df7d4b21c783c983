"""A rank's scratch folder goes with its rank, however that ends."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekd.launch import scratch

HOLDER = """
import sys
from edgekd.launch.scratch import open_scratch_folder
with open_scratch_folder() as folder:
    (folder / "model.safetensors").write_bytes(b"half")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def holder() -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with started:
        yield started
        started.kill()


def make_old(folder: Path) -> None:
    os.utime(folder, (0, 0))


def test_it_is_removed_at_the_end(temporary: Path) -> None:
    with scratch.open_scratch_folder() as folder:
        (folder / "made").mkdir()
        assert folder.parent == temporary
    assert list(temporary.iterdir()) == []


def test_a_killed_ranks_folder_is_removed_by_the_next(
    temporary: Path, holder: subprocess.Popen[str]
) -> None:
    assert holder.stdout is not None
    left = Path(holder.stdout.readline().strip())
    make_old(left)
    scratch.remove_abandoned(temporary)
    assert left.is_dir()  # its owner lives
    holder.kill()
    holder.wait()
    make_old(left)
    with scratch.open_scratch_folder() as folder:
        assert [each.name for each in temporary.iterdir()] == [folder.name]


def test_what_is_new_or_nobodys_scratch_folder_stays(temporary: Path) -> None:
    fresh = temporary / f"{scratch.PREFIX}fresh"
    fresh.mkdir()
    other = temporary / "edgekd-other"
    other.mkdir()
    behind = temporary / f"{scratch.PREFIX}link"
    behind.symlink_to(other)
    file = temporary / f"{scratch.PREFIX}file"
    file.write_text("")
    make_old(other)
    make_old(file)
    scratch.remove_abandoned(temporary)
    assert {each.name for each in temporary.iterdir()} == {
        each.name for each in (fresh, other, behind, file)
    }

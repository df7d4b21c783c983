"""Durable writes: old bytes or new bytes, at any fault."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekd import files
from edgekd.errors import InputError
from edgekd.errors import MachineError

WRITER = """
import sys, pathlib
from edgekd import files
path = pathlib.Path(sys.argv[1])
if sys.argv[2] == "file":
    files.write_bytes(path, b"new")
else:
    files.replace_folder(path, lambda f: (f / "x").write_bytes(b"new"))
"""


def struck(path: Path, kind: str, fault: str) -> int:
    return subprocess.run(
        [sys.executable, "-c", WRITER, str(path), kind],
        env={**os.environ, "EDGEKD_FAULT": fault},
        stderr=subprocess.DEVNULL,
        check=False,
    ).returncode


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("fault", ["kill", "enospc"])
def test_a_file_is_old_or_new(tmp_path: Path, fault: str, at: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    assert struck(path, "file", f"{fault}@{at}") != 0
    assert path.read_bytes() == (b"new" if at == 3 else b"old")
    assert struck(path, "file", "") == 0
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("at", [1, 2])
def test_a_folder_is_old_or_new(tmp_path: Path, at: int) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x").write_bytes(b"old")
    assert struck(folder, "folder", f"kill@{at}") == -9
    assert (folder / "x").read_bytes() == (b"new" if at == 2 else b"old")
    files.sweep_temporaries(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_a_full_disk_says_so_and_keeps_the_old(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(MachineError, match="disk is full.*free") as caught:
        files.write_through(path, lambda p: p.write_bytes(b"n"), size_bytes=10**18)
    assert caught.value.exit_code == 3
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, tmp_path / "none", Path("/dev/zero")):
        with pytest.raises(InputError):
            files.digest_file(path)


def test_json_has_one_spelling_and_no_nan() -> None:
    assert files.canonical_json({"b": 1, "a": [1.5, None]}) == b'{"a":[1.5,null],"b":1}\n'
    with pytest.raises(ValueError, match="JSON"):
        files.canonical_json(float("nan"))

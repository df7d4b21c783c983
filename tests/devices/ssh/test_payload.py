from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from edgekd.devices.ssh import payload
from tests.devices import sshd


def test_the_same_bytes_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = []
    for name in ("one", "two"):
        folder = tmp_path / name / "edgekd"
        shutil.copytree(payload.PACKAGE if not packed else tmp_path / "one" / "edgekd", folder)
        monkeypatch.setattr(payload, "PACKAGE", folder)
        packed.append(payload.build_payload.__wrapped__())
    first, second = packed
    assert first == second
    names = zipfile.ZipFile(io.BytesIO(first.data)).namelist()
    assert "edgekd/bench/worker.py" in names and "edgekd/devices/ssh/board/keeper.py" in names
    assert not [name for name in names if name.startswith(("edgekd/learn", "edgekd/cli"))]


def test_a_worker_and_an_agent_need_nothing_else(tmp_path: Path) -> None:
    """In an environment without any package, all that they import is there."""
    zipfile.ZipFile(io.BytesIO(payload.build_payload().data)).extractall(tmp_path / "code")
    python = sshd.python_environment(tmp_path / "python", ())
    code = (
        "import sys;sys.path.insert(0,sys.argv[1])\n"
        "import edgekd.bench.jobs,edgekd.devices.ssh.board,edgekd.devices.ssh.board.environment\n"
        "from edgekd.runtimes import RUNTIMES\n"
        "print([entry.load().why_not() for entry in RUNTIMES.values()])\n"
        "from importlib import metadata;print(metadata.version('edgekd'))"
    )
    words = [str(python), "-I", "-c", code, str(tmp_path / "code")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "onnxruntime is not installed" in done.stdout

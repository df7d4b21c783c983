"""What doctor says of packages and systems; and that what only reads works where POSIX is missing."""

from __future__ import annotations

import configparser
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgekd import stage
from edgekd.cli import installation

ROOT = Path(__file__).parents[2]


def test_every_extra_says_what_it_is_for() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = set(setup["options.extras_require"]) - set(installation.NO_EXTRAS)
    assert set(installation.EXTRAS) == extras


def test_what_is_missing_comes_with_the_line_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stage, "package_version", lambda name: None)
    rows = {row["name"]: row for row in installation.list_extras()}
    assert "torch" in rows["learn"]["missing"] and rows["learn"]["installed"] == {}
    said = installation.describe_extra(rows["learn"])
    assert "lacks torch" in said and "pip install 'edgekd[learn]'" in said
    assert installation.describe_torch()["why_not"] == "not installed: pip install 'edgekd[learn]'"


def test_what_is_installed_comes_with_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    have = {"torch": "9.1", "onnx": "2"}
    monkeypatch.setattr(stage, "package_version", have.get)
    (learn,) = (row for row in installation.list_extras() if row["name"] == "learn")
    assert learn["installed"] == have
    assert "; has torch 9.1, onnx 2" in installation.describe_extra(learn)


@pytest.mark.parametrize(
    ("found", "want"),
    [
        ({"gpus": [{"name": "H", "memory_bytes": 80e9}], "why_not": None}, "H, 80 GB"),
        ({"gpus": [{"name": "MPS", "memory_bytes": None}], "why_not": None}, "MPS"),
        ({"gpus": [], "why_not": "no torch"}, "not known without torch"),
        ({"gpus": [], "cuda": None, "why_not": None}, "none: this torch is built for processors"),
        (
            {"gpus": [], "cuda": "13.0", "why_not": None},
            "none that torch sees; it is built for CUDA",
        ),
    ],
)
def test_gpus_in_words(found: dict[str, Any], want: str) -> None:
    assert installation.describe_gpus(found).startswith(want)


def test_a_torch_that_cannot_be_imported_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "edgekd.learn.torch_facts", None)
    monkeypatch.delattr("edgekd.learn.torch_facts", raising=False)  # another test imported it
    found = installation.describe_torch()
    assert found["why_not"].startswith("cannot be imported: ") and found["version"]


def test_a_system_that_nobody_knows_is_not_tested() -> None:
    assert installation.describe_platform("Plan 9") == "not tested"
    assert "WSL2" in installation.describe_platform("Windows")


WITHOUT_POSIX = """
import os, signal, sys
import platformdirs, psutil  # which know the system that they are on
for name in ("fcntl", "resource"):
    sys.modules[name] = None
for name in ("sched_getaffinity", "geteuid", "getuid", "killpg", "fork", "pidfd_open", "O_NOFOLLOW", "O_NONBLOCK"):
    delattr(os, name)
del signal.SIGPIPE
sys.argv[0] = "edgekd"
from edgekd import cli
cli.run(sys.argv[1:])
"""
"""What Windows lacks, taken away from this system."""


def without_posix(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_POSIX, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "verb",
    [
        "--help",
        "models",
        "methods kd",
        "tasks",
        "schema",
        "completion",
        "runs .",
        "sources",
        "doctor",
    ],
)
def test_what_only_reads_works_without_posix(verb: str) -> None:
    done = without_posix(*verb.split())
    assert done.returncode == 0, done.stderr
    assert done.stdout and "Traceback" not in done.stderr


def test_what_locks_or_runs_workers_says_what_is_missing(tmp_path: Path) -> None:
    quickstart = str(ROOT / "pipelines" / "quickstart.yaml")
    places = ("--store", str(tmp_path / "store"), "--run-dir", str(tmp_path / "run"))
    done = without_posix("compress", quickstart, *places, "--json")
    assert done.returncode == 3, (done.stdout, done.stderr)
    told = json.loads(done.stdout)
    assert "no flock" in told["error"] and "WSL2" in told["hint"]

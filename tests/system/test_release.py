"""The workflows of this repository name what is there, and hold no more power than they need."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import edgekd

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCRIPTS = sorted((ROOT / ".github" / "scripts").glob("*.sh"))
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def jobs(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text())["jobs"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_step_runs_what_is_there(path: Path) -> None:
    lines = [s["run"] for job in jobs(path).values() for s in job["steps"] if "run" in s]
    assert lines
    for line in lines:
        assert "${{" not in line, line
        for script in re.findall(r"(?:\.ci|\.github|benchmarks)/[\w./]+", line):
            assert (ROOT / script).is_file(), line
        for target in re.findall(r"\bmake ([a-z]+)", line):
            assert target in TARGETS, line


def test_the_power_to_publish_is_one_jobs_alone() -> None:
    texts = {path.name: yaml.safe_load(path.read_text()) for path in WORKFLOWS}
    assert all(text["permissions"] == {"contents": "read"} for text in texts.values())
    held = {
        (name, label): job["permissions"]
        for name, text in texts.items()
        for label, job in text["jobs"].items()
        if "permissions" in job
    }
    assert held == {
        ("release.yml", "publish"): {"id-token": "write"},
        ("release.yml", "release"): {"contents": "write"},
    }
    publish = texts["release.yml"]["jobs"]["publish"]
    assert publish["environment"] == "pypi"
    assert publish["needs"] == "try"
    assert not any("password" in step.get("with", {}) for step in publish["steps"])


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_clean(path: Path) -> None:
    assert path.stat().st_mode & 0o111
    assert "set -euo pipefail" in path.read_text()
    places = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    checker = shutil.which("shellcheck", path=places)
    if checker is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run([checker, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("tag", "code"), [(f"v{edgekd.__version__}", 0), ("v99.0", 2), ("", 1)])
def test_a_tag_must_be_the_version(tag: str, code: int) -> None:
    script = ROOT / ".github" / "scripts" / "check_version.sh"
    done = subprocess.run([str(script), tag], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr

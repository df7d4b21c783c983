"""One small finished run, made once for all system tests of a worker."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent.parent
RECIPE = ROOT / "pipelines" / "quickstart.yaml"
SMALL = (
    "data.limit=600",
    "data.test=0.2",
    "views.count=2",
    "teacher.model={name: resnet8, base: 8}",
    "teacher.train.epochs=4",
    "teacher.train.precision=fp32",
    "teacher.train.channels_last=true",
    "teacher.train.threads=1",
    "teacher.train.checkpoint_every_s=0",
    "student.model={name: resnet8, base: 4}",
    "student.train.epochs=4",
    "student.train.precision=fp32",
    "student.train.channels_last=true",
    "student.train.threads=1",
    "student.train.checkpoint_every_s=0",
    'targets=[{"runtime": "onnxruntime"}, {"runtime": "openvino", "precision": ["fp32"]}]',
    "measure.min_time_s=0.02",
    "measure.max_time_s=0.05",
    "measure.max_warmup_s=0.2",
    "budget={}",
)


class Ran(NamedTuple):
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def line(self) -> str:
        """The last line it left on stderr."""
        return (self.stderr.strip().splitlines() or [""])[-1]


class Place(NamedTuple):
    """A folder with a store and a run."""

    folder: Path

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def run_dir(self) -> Path:
        return self.folder / "run"

    def arguments(self, *more: str, recipe: Path = RECIPE) -> list[str]:
        """The command line that runs the small recipe here."""
        sets = [part for text in SMALL for part in ("--set", text)]
        places = ["--store", str(self.store), "--run-dir", str(self.run_dir)]
        return ["compress", str(recipe), *places, *sets, *more]

    def compress(self, *more: str, recipe: Path = RECIPE) -> Ran:
        """Run the small recipe here."""
        return edgekd(*self.arguments(*more, recipe=recipe), folder=self.folder)


def edgekd(
    *arguments: str, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> Ran:
    """Run the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "edgekd", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The small recipe, run to its end."""
    place = Place(tmp_path_factory.mktemp("finished"))
    ran = place.compress()
    assert ran.code == 0, ran.stderr
    return place

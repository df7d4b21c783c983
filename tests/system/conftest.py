"""One small finished run, made once for all system tests, and the command line, in this process or one of its own."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest

from edgekd import cli
from tests import brief_example

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
    "measure.processes_max=6",
    "measure.min_time_s=0.02",
    "measure.max_time_s=0.02",
    "measure.max_warmup_s=0.05",
    "budget={}",
)

brief_measurements = brief_example.brief_measurements


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

    def copy_to(self, folder: Path) -> Place:
        """The same store and run in `folder`."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Place(folder)

    def compress(self, *more: str, recipe: Path = RECIPE, process: bool = False) -> Ran:
        """Run the small recipe here; with `process` in one of its own."""
        run = edgekd_process if process else edgekd
        return run(*self.arguments(*more, recipe=recipe), folder=self.folder)


def edgekd(*arguments: str, folder: Path | None = None) -> Ran:
    """Run the command line in this process, which saves it the imports of a new one."""
    output, errors = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with (
        mock.patch.dict(os.environ, {"COLUMNS": "200"}),
        contextlib.chdir(folder or Path.cwd()),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
        pytest.raises(SystemExit) as ended,
    ):
        cli.run(list(arguments))
    for number, handler in handlers.items():
        signal.signal(number, handler)
    assert isinstance(ended.value.code, int)
    return Ran(ended.value.code, output.getvalue(), errors.getvalue())


def edgekd_process(*arguments: str, folder: Path | None = None) -> Ran:
    """Run the command line in a process of its own, as a shell does."""
    done = subprocess.run(
        [sys.executable, "-m", "edgekd", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Place:
    """The small recipe, run to its end: once for all workers, and a copy for each, as its tests run it again."""
    base = tmp_path_factory.getbasetemp()
    shared = Place((base if worker_id == "master" else base.parent) / "finished")
    with (shared.folder.parent / "finished.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.folder.exists():
            made = Place(shared.folder.with_suffix(".new"))
            made.folder.mkdir()
            ran = made.compress(process=True)
            assert ran.code == 0, ran.stderr
            made.folder.rename(shared.folder)
    return shared.copy_to(tmp_path_factory.mktemp("finished"))

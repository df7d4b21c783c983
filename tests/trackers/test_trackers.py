from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from edgekd.errors import InputError
from edgekd.errors import MachineError
from edgekd.trackers import TRACKERS
from edgekd.trackers import open_trackers


def test_every_tracker_opens_runs_and_importing_one_brings_no_library() -> None:
    for entry in TRACKERS.values():
        assert callable(importlib.import_module(entry.module).open_run)
    code = "import edgekd.trackers.mlflow, edgekd.trackers.tensorboard, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"mlflow", "tensorboard", "torch", "numpy"} & set(done.stdout.split())


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="mlflow"):
        open_trackers(["mlfow:file:///x"], pytest.fail)


def test_a_package_that_is_missing_is_said_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MachineError, match="tensorboard is not installed") as caught:
        open_trackers(["tensorboard"], pytest.fail)
    assert caught.value.hint == "pip install 'edgekd[tensorboard]'"

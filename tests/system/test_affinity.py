from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import bench_example

pytestmark = pytest.mark.skipif(
    shutil.which("taskset") is None or len(os.sched_getaffinity(0)) < 2,
    reason="wants taskset and two cores",
)


def test_two_threads_on_one_core_do_not_count(tmp_path: Path) -> None:
    model = bench_example.write_onnx(tmp_path / "net.onnx")
    core = str(min(os.sched_getaffinity(0)))
    bench = ["bench", str(model), "--runtime", "onnxruntime", "--processes", "1", "--json"]
    done = subprocess.run(
        [
            "taskset",
            "-c",
            core,
            sys.executable,
            "-m",
            "edgekd",
            *bench,
            "--threads",
            "1",
            "--threads",
            "2",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    made = json.loads(done.stdout)
    one, two = made["results"]
    assert not [reason for reason in one["valid"]["reasons"] if "crowded" in reason]
    assert two["status"] == "invalid"
    assert "crowded: 2 threads on 1 of the cores (affinity)" in two["valid"]["reasons"]
    assert made["fingerprint"]["fields"]["cores_allowed"] == 1

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from edgekd import dataset
from edgekd import splits
from edgekd.bench import scores
from edgekd.devices.ssh.payload import build_payload
from edgekd.tasks import load_task
from tests import text_example
from tests.bench.test_scores import engine
from tests.bench.test_scores import texts

ON_A_BOARD = """
import json, sys
payload, spec = sys.argv[1:]
sys.path.insert(0, payload)
for name in ("pydantic", "torch", "click", "yaml", "safetensors", "scipy"):
    sys.modules[name] = None
import edgekd
from edgekd.bench import score_job
assert edgekd.__file__.startswith(payload), edgekd.__file__
score_job.run_score(json.loads(spec), lambda phase: None, 0)
"""


def test_a_board_that_has_numpy_and_an_engine_alone_gives_the_same_rows(tmp_path: Path) -> None:
    made = engine(tmp_path / "e", "onnxruntime", text_example.write_onnx(tmp_path / "m"))
    split, data = texts(tmp_path)
    (tmp_path / "edgekd.zip").write_bytes(build_payload().data)
    spec = {
        "runtime": "onnxruntime",
        "precision": "fp32",
        "threads": 1,
        "files": {name: str(path) for name, path in made.files.items()},
        "split": str(split),
        "goal": str(tmp_path / "rows"),
        "data": dataset.to_json(data),
        "batch": 8,
        "rows": [0, 40],
    }
    command = [sys.executable, "-I", "-c", ON_A_BOARD, str(tmp_path / "edgekd.zip")]
    done = subprocess.run(
        [*command, json.dumps(spec)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    here = scores.score_engine(made, split, data, load_task("classification"), batch_size=8)
    there = splits.read(tmp_path / "rows")
    assert set(there) == set(here)
    for name, rows in here.items():
        np.testing.assert_array_equal(there[name], rows)

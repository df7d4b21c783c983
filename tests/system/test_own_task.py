"""The example of a task of one's own: two inputs, two outputs, a loss and a source, all in one file of the user's."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgekd.bench.status import TIMED
from tests.system.conftest import edgekd

EXAMPLE = Path(__file__).parents[2] / "examples" / "turned-digits"
SHORT = (
    "data.limit=192",
    "teacher.train.epochs=2",
    "student.train.epochs=2",
    "learn.1.train.epochs=1",
    "measure.processes_max=6",
    "measure.max_time_s=0.02",
    "measure.min_time_s=0.02",
    "measure.max_warmup_s=0.05",
    "views.count=1",
    "targets=[{runtime: onnxruntime, precision: [int8]}, {runtime: openvino, precision: [int8]}]",
)


def test_it_is_compressed_verified_asked_and_gated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(
        EXAMPLE, tmp_path / "mine", ignore=shutil.ignore_patterns("__pycache__", "runs")
    )
    monkeypatch.chdir(tmp_path / "mine")
    store = ("--store", str(tmp_path / "store"))
    sets = [word for change in SHORT for word in ("--set", change)]
    ran = edgekd("compress", "recipe.yaml", "--quiet", *store, *sets)
    assert ran.code == 2 and "runs your own code" in ran.stderr

    ran = edgekd("compress", "recipe.yaml", "--quiet", "--allow-code", *store, *sets)
    assert ran.code == 0, ran.stderr
    run_dir = Path("runs/turned-digits")
    result = json.loads((run_dir / "result.json").read_bytes())
    assert result["metric"]["name"] == "read right"
    engines = {(row["runtime"], row["precision"]): row for row in result["candidates"]}
    for runtime in ("onnxruntime", "openvino"):
        row = engines[runtime, "int8"]
        assert row["status"] in TIMED, row["reason"]
        assert row["parity_steps"] < 4

    bundle = str(run_dir / "bundle")
    verified = edgekd("verify", bundle)
    assert verified.code == 0 and "author's own code, which is not run" in verified.stdout
    np.save("digit.npy", np.zeros((12, 12, 1), np.uint8))
    given = ("images=digit.npy", "places=[5.5, 5.5]")
    asked = edgekd("predict", bundle, *given)
    assert asked.code == 2 and "runs your code" in asked.stderr
    asked = edgekd("predict", bundle, *given, "--allow-code", "--json")
    assert asked.code == 0, asked.stderr
    ((answer,),) = [each["answers"] for each in json.loads(asked.stdout)]
    assert answer["text"].endswith("degrees") and answer["probability"] is None
    Path("gates.yaml").write_text("parity:\nscore:\noperators:\n")
    policy = ("--policy", "gates.yaml", "--allow-code", *store)
    gated = edgekd("gate", str(run_dir), "--baseline", bundle, *policy)
    assert gated.code == 0, gated.stdout + gated.stderr
    assert "0 lost, 0 gained" in gated.stdout, gated.stdout

"""A run begins with a student that is there already: quantized alone, or made smaller first; without teacher and control."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.system.conftest import Place
from tests.system.conftest import Ran
from tests.system.conftest import edgekd

RECIPE = """\
name: begun
data: {source: digits, limit: 600}
views: {count: 2}
student:
  model: {name: resnet8, base: 8}
  weights: student.safetensors
  train: {epochs: 2, learning_rate: 0.02, precision: fp32, channels_last: true, threads: 1}
learn: %s
targets: [{runtime: onnxruntime, precision: %s}]
measure: {processes_max: 6, min_time_s: 0.02, max_time_s: 0.02, max_warmup_s: 0.05}
budget: {score_drop: 60, shrink: 0.5}
"""
QUANTIZE = "[{step: quantize, train: null, calibration: min-max}]"
PRUNE = "[{step: prune, macs: 0.7, recover: {losses: [kd]}}]"


def write_recipe(folder: Path, finished: Place, learn: str, precision: str) -> Path:
    """A recipe that begins with the weights of a finished run's teacher."""
    lineage = json.loads((finished.run_dir / "result.json").read_bytes())["lineage"]
    digest = lineage["teacher"]["files"]["weights.safetensors"]
    weights = (finished.store / "cas" / digest[:2] / digest).read_bytes()
    (folder / "student.safetensors").write_bytes(weights)
    path = folder / "recipe.yaml"
    path.write_text(RECIPE % (learn, precision))
    return path


def compress(folder: Path, path: Path, *more: str) -> Ran:
    return edgekd(
        "compress", str(path), "--store", "store", "--run-dir", "run", *more, folder=folder
    )


def read_result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run" / "result.json").read_bytes())
    return found


def test_only_quantized_from_a_file_to_the_gate(tmp_path: Path, finished: Place) -> None:
    path = write_recipe(tmp_path, finished, QUANTIZE, "[int8]")
    foreseen = compress(tmp_path, path, "--dry-run")
    assert foreseen.code == 0 and "student.safetensors" in foreseen.stdout, foreseen.stderr
    labels = [line.split()[0] for line in foreseen.stdout.splitlines() if "to run" in line]
    assert labels[:4] == ["open-student", "data", "student", "check"]
    assert not [x for x in labels if x.startswith(("tune", "train", "teacher", "control", "know"))]
    checked = compress(tmp_path, path, "--check")
    assert checked.code == 0, checked.stderr
    ran = compress(tmp_path, path)
    assert ran.code == 0, ran.stderr
    assert [line.split()[0] for line in ran.stdout.splitlines()[:3]] == [
        "student",
        "quantized",
        "chosen",
    ]
    result = read_result(tmp_path)
    assert (result["teacher"], result["control"]) == (None, None) and "reference" not in result
    assert [row["model"] for row in result["references"]] == ["reference"]
    assert result["comparison"]["role"] == "reference"
    page = (tmp_path / "run" / "report.md").read_text()
    assert "the float model it began with**" in page and "teacher's" not in page
    card = (tmp_path / "run" / "bundle" / "MODEL_CARD.md").read_text()
    assert "distilled" not in card and "teacher" not in card

    bundle = str(tmp_path / "run" / "bundle")
    assert edgekd("verify", bundle).code == 0
    image = tmp_path / "digit.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(image)
    predicted = edgekd("predict", bundle, str(image))
    assert predicted.code == 0, predicted.stderr
    policy = tmp_path / "gates.yaml"
    policy.write_text("size:\nscore:\noperators:\n")
    told = ("--baseline", bundle, "--policy", str(policy), "--store", str(tmp_path / "store"))
    gated = edgekd("gate", str(tmp_path / "run"), *told)
    assert gated.code == 0, gated.stdout + gated.stderr


def test_made_smaller_first_it_recovers_by_what_it_was(tmp_path: Path, finished: Place) -> None:
    path = write_recipe(tmp_path, finished, PRUNE, "[fp32]")
    checked = compress(tmp_path, path, "--check")
    assert checked.code == 0 and "prune-recover: can begin" in checked.stdout, checked.stderr
    ran = compress(tmp_path, path)
    assert ran.code == 0, ran.stderr
    result = read_result(tmp_path)
    assert result["teacher"] is None and result["control"] is None
    assert result["student"]["macs"] <= result["reference"]["macs"]  # so small a network may stay
    assert result["comparison"]["role"] == "reference" and result["references"]
    assert {"open-student", "student", "knowledge-student", "prune", "prune-recover"} <= set(
        result["lineage"]
    )
    page = (tmp_path / "run" / "report.md").read_text()
    assert "| reference | resnet8 |" in page and "same class as the reference on" in page
    assert edgekd("verify", str(tmp_path / "run" / "bundle")).code == 0

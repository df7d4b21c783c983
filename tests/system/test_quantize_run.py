"""A student quantized with its teachers in the loop, from the recipe to a bundle that verifies."""

from __future__ import annotations

import json
from pathlib import Path

from edgekd import bundle
from tests.system.conftest import Place
from tests.system.conftest import edgekd

TRAIN = (
    "{epochs: 1, optimizer: adamw, learning_rate: 3e-4, weight_decay: 0.0, schedule: cosine, "
    "precision: fp32, channels_last: true, threads: 1}"
)
QUANTIZE = (
    "learn=[{step: distil, losses: [{name: kd, temperature: 4.0}]}, "
    f"{{step: quantize, calibration: min-max, train: {TRAIN}}}]"
)
INT8 = "targets=[{runtime: onnxruntime, precision: [int8]}]"


def test_the_chosen_int8_model_is_what_is_shipped(finished: Place, tmp_path: Path) -> None:
    place = finished.copy_to(tmp_path)
    ran = place.compress("--set", QUANTIZE, "--set", INT8, "--set", "name=int8", "--replace")
    assert ran.code == 0, ran.stderr
    result = json.loads((place.run_dir / "result.json").read_bytes())
    (row,) = result["candidates"]
    assert result["chosen"] == row["name"] == "onnxruntime-int8-1t"
    (rounded,) = result["quantized"].values()
    assert row["validation_score"] >= rounded["validation_score"] - 0.02
    assert row["islands"] == [] and any("QLinearConv" in kernel for kernel in row["kernels"])

    found = bundle.load_bundle(place.run_dir / "bundle")
    label = f"export-student-{row['profile']}"
    shipped = {name: file.sha256 for name, file in found.manifest.files.items()}
    for name in ("model.onnx", "golden.safetensors"):
        assert shipped[name] == result["lineage"][label]["files"][name]
    assert found.manifest.chosen.profile == row["profile"]
    verified = edgekd("verify", str(place.run_dir / "bundle"))
    assert verified.code == 0 and "quantization steps" in verified.stdout, verified.stdout

    (tables,) = place.run_dir.glob("sensitivity-*.json")
    layers = json.loads(tables.read_bytes())["layers"]
    page = (place.run_dir / "report.md").read_text()
    assert all(f"| {layer['layer']} |" in page for layer in layers)
    assert "| student, rounded (" in page

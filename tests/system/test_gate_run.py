"""From a finished run to a verdict: the run against its own bundle, and against a better one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgekd import bundle
from edgekd.bench import golden
from edgekd.bench.engine import Engine
from edgekd.bench.outputs import compute_outputs
from edgekd.bench.outputs import write_inputs
from edgekd.bundle import write as bundle_write
from edgekd.tasks import classification
from tests.system.conftest import Place
from tests.system.conftest import Ran
from tests.system.conftest import edgekd

POLICY = """
unresolved: warn
size:
complexity: {macs: 0.0}
operators:
score:
memory: {pairs: 6}
latency: {pairs: 6, time_s: 0.02}
"""


UNTIMED = "size:\ncomplexity:\noperators:\nscore:\n"


def gated(place: Path, finished: Place, run: Path, baseline: Path, policy: str) -> Ran:
    path = place / "gates.yaml"
    path.write_text(policy)
    told = ["--baseline", str(baseline), "--policy", str(path), "--store", str(finished.store)]
    return edgekd("gate", str(run), *told, "--json")


def blunted(finished: Place, folder: Path) -> Path:
    """The run's student with noise on its weights: a bundle that is whole, and worse."""
    found = bundle.load_bundle(finished.run_dir / "bundle")
    folder.mkdir()
    model = onnx.load(found.folder / "model.onnx")
    random = np.random.default_rng(0)
    for tensor in model.graph.initializer:
        held = numpy_helper.to_array(tensor)
        if held.dtype == np.float32 and held.ndim > 1:
            noise = random.normal(0, 1.5 * held.std() + 1e-6, held.shape)
            tensor.CopyFrom(numpy_helper.from_array((held + noise).astype(np.float32), tensor.name))
    onnx.save(model, folder / "model.onnx")
    usual = found.golden["usual"]
    inputs = write_inputs(usual.inputs, folder / "inputs.split")
    engine = Engine("onnxruntime", "fp32", 1, {"model.onnx": folder / "model.onnx"})
    answers = compute_outputs(engine, inputs)
    golden.write(folder / "golden.safetensors", {"usual": usual._replace(outputs=answers)})
    manifest = found.manifest
    rows = json.loads((found.folder / "measured.json").read_bytes())
    bundle_write.write(
        folder / "bundle",
        name=manifest.name,
        version=manifest.edgekd,
        model=folder / "model.onnx",
        golden=folder / "golden.safetensors",
        dataset=found.dataset,
        interface=found.interface,
        metric=classification.TASK.score,
        rows=rows,
        chosen=manifest.chosen.name,
        created_from=manifest.created_from,
        parity={"allowed": 1e-3},
        card="# worse\n",
    )
    return folder / "bundle"


def test_a_run_against_itself_passes(finished: Place, tmp_path: Path) -> None:
    copy = tmp_path / "baseline"
    shutil.copytree(finished.run_dir, copy)
    ran = gated(tmp_path, finished, finished.run_dir, copy, POLICY)
    told = {o["gate"]: o for o in json.loads(ran.stdout)["outcomes"]}
    # on a busy machine six pairs of one model may stay open; they may not fail
    assert ran.code == 0, ran.stderr
    assert told["score"]["verdict"] == "pass" and told["score"]["interval"] == [0, 0]
    assert told["complexity.macs"]["verdict"] == "pass"
    assert told["latency"]["verdict"] in ("pass", "inconclusive")
    assert len(told["latency"]["evidence"]["log_ratios"]) == 6


def test_a_worse_student_fails_accuracy_and_nothing_exact(finished: Place, tmp_path: Path) -> None:
    worse = blunted(finished, tmp_path / "worse")
    ran = gated(tmp_path, finished, worse, finished.run_dir, UNTIMED)
    assert ran.code == 1, ran.stdout + ran.stderr
    made = json.loads(ran.stdout)
    assert [o["gate"] for o in made["outcomes"] if o["verdict"] == "fail"] == ["score"]
    assert made["samples"]["source"] == "digits (test split)"
    assert "gate score: " in ran.line


@pytest.mark.parametrize("junk", ["", "no bundle at all"])
def test_a_baseline_that_is_none_exits_2(finished: Place, tmp_path: Path, junk: str) -> None:
    path = tmp_path / "baseline.edgekd"
    path.write_text(junk)
    ran = gated(tmp_path, finished, finished.run_dir, path, UNTIMED)
    assert ran.code == 2 and "want a bundle" in ran.stdout

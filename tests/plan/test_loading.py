"""Steps that read a user's weights: what counts in their keys."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgekd import plan
from edgekd import recipe as recipes
from edgekd.run import Options
from edgekd.stage import Bindings
from edgekd.stage import input_digests
from edgekd.stage import key_inputs
from edgekd.stage import origin_of
from edgekd.store import compute_key
from tests.onnx_example import classifier

RECIPE = """\
name: beside
task: float-agreement
data: {source: "arrays:samples.npz"}
student: {model: "onnx:student.onnx"}
learn: [{step: quantize}]
targets: [{runtime: onnxruntime}]
"""


def keys(folder: Path) -> dict[str, str]:
    """Of the steps that take nothing from others."""
    path = folder / "recipe.yaml"
    options = Options(run_dir=folder / "run", store=folder / "store")
    steps = plan.steps(recipes.load(path), folder, options)
    makers = {step.label: step for step in steps}
    found = {}
    for step in steps:
        given = input_digests(step._replace(takes={}), {})
        inputs = key_inputs(step, given, Bindings("h", "d"), origin_of(step, makers))
        found[step.label] = compute_key(inputs)
    return found


@pytest.mark.parametrize("outside", [True, False])
def test_a_file_beside_the_model_counts_in_every_step_that_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outside: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    onnx.save(
        classifier(),
        tmp_path / "student.onnx",
        save_as_external_data=outside,
        location="student.data",
        size_threshold=0,
    )
    data = tmp_path / "student.data"
    if not outside:
        data.write_bytes(bytes(64))
    np.savez(tmp_path / "samples.npz", x=np.zeros((60, 3, 8, 8), np.float32))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    before = keys(tmp_path)
    assert keys(tmp_path) == before
    data.write_bytes(bytes(reversed(data.read_bytes())) + b"1")
    after = keys(tmp_path)
    changed = {label for label in before if before[label] != after[label]}
    if not outside:
        assert not changed
    else:
        assert {"data", "open-student", "student"} <= changed

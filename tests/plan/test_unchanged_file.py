"""A user's file that stays as it is: without int8, or, where it was quantized before, in int8 alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekd import recipe as recipes
from edgekd.errors import InputError
from edgekd.plan import deploying
from edgekd.plan import roles
from edgekd.plan import unchanged_file

RECIPE = """\
name: file
task: float-agreement
data: {source: "arrays:a.npz"}
student: {model: "onnx:a.onnx"}
learn: [%s]
targets: [{runtime: onnxruntime, precision: %s}, {runtime: openvino}]
"""
WHY = "it is quantized already"


def load(folder: Path, learn: str = "{step: quantize}", precision: str = "auto") -> recipes.Recipe:
    for name in ("a.onnx", "a.npz"):
        (folder / name).write_bytes(b"")
    (folder / "r.yaml").write_text(RECIPE % (learn, precision))
    return recipes.load(folder / "r.yaml")


def measured(recipe: recipes.Recipe) -> set[tuple[str, str, str]]:
    profiles = {"onnxruntime": "x86"} if recipe.steps else {}
    found = deploying.candidates(recipe, profiles)
    return {
        (one.model, one.precision, one.profile)
        for one in found
        if one.precision in ("fp32", "int8", "int8-bf16")
    }


@pytest.mark.parametrize("learn", ["{step: quantize}", ""])
def test_a_quantized_file_is_measured_in_int8_alone(tmp_path: Path, learn: str) -> None:
    recipe = load(tmp_path, learn)
    assert ("student", "int8", "") not in measured(recipe)
    taken = unchanged_file.take_quantized(recipe, WHY)
    own = {("student", "int8", ""), ("student", "int8-bf16", "")}  # OpenVINO has both
    assert measured(taken) == own and not taken.steps
    assert roles.is_quantized_file(taken) and not roles.is_quantized_file(recipe)


def test_a_file_in_float_is_measured_without_int8(tmp_path: Path) -> None:
    taken = unchanged_file.leave_unchanged(load(tmp_path), "it has If")
    assert measured(taken) == {("student", "fp32", "")}


def test_what_would_change_it_and_other_numerics_alone_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"targets.0.precision: got no int8 .* quantized already"):
        unchanged_file.take_quantized(load(tmp_path, precision="fp32"), WHY)
    with pytest.raises(InputError, match=r"targets.0.precision: got int8 .* it has If"):
        unchanged_file.leave_unchanged(load(tmp_path, precision="[int8]"), "it has If")
    pruned = load(tmp_path, "{step: prune, macs: 0.5}")
    for take in (unchanged_file.take_quantized, unchanged_file.leave_unchanged):
        with pytest.raises(InputError, match="learn.0.step: got 'prune' for onnx:a.onnx"):
            take(pruned, WHY)

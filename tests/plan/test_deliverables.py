"""What of a run's results is handed over under which name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekd import recipe as recipes
from edgekd.plan import deliverables
from edgekd.store import Blob
from edgekd.store import CreationTime
from edgekd.store import StoreEntry

QUICKSTART = Path(__file__).parents[2] / "pipelines/quickstart.yaml"
INT8 = "learn=[{step: distil, losses: [kd]}, {step: quantize}]"
FILES = ("blueprint.json", "weights.safetensors", "model.onnx")


def entries(*labels: str, candidates: list[dict[str, Any]]) -> dict[str, StoreEntry]:
    inputs = {"settings": {"candidates": candidates}}
    files = {name: Blob("0" * 64, 7) for name in FILES}
    return dict.fromkeys(labels, StoreEntry("k", inputs, files, CreationTime("", 1.0)))


def candidate(name: str, profile: str = "") -> dict[str, Any]:
    told = {"name": name, "model": name.partition("-")[0]}
    return {**told, "profile": profile} if profile else told


def test_a_file_for_each_export_and_the_students_in_torch() -> None:
    recipe = recipes.load(QUICKSTART, [INT8])
    given = entries(
        "distil",
        "quantize-asymmetric",
        "export-student",
        "export-student-x86",
        "export-teacher",
        "measure",
        candidates=[
            candidate("student-onnxruntime-fp32"),
            candidate("student-onnxruntime-int8", "x86"),
            candidate("student-openvino-fp32"),
            candidate("teacher-openvino-fp32"),
        ],
    )
    found = deliverables.list_deliverables(recipe, given, {"profile": "x86"})
    assert {name: each.label for name, each in found.items()} == {
        "student.safetensors": "distil",
        "student.json": "distil",
        "student-quantized.safetensors": "quantize-asymmetric",
        "student-quantized.json": "quantize-asymmetric",
        "models/student.onnx": "export-student",
        "models/student-x86.onnx": "export-student-x86",
        "models/teacher.onnx": "export-teacher",
    }
    assert {name for name in found if "/" not in name} == set(deliverables.NAMES)
    told = found["models/student.onnx"].meaning
    assert told == "ONNX of student-onnxruntime-fp32, student-openvino-fp32"


@pytest.mark.parametrize("chosen", [None, {"profile": ""}])
def test_a_quantized_student_that_was_not_chosen_and_what_nobody_made_are_left_out(
    chosen: dict[str, Any] | None,
) -> None:
    recipe = recipes.load(QUICKSTART, [INT8])
    given = entries(
        "quantize-asymmetric", "measure", candidates=[candidate("teacher-openvino-fp32")]
    )
    assert deliverables.list_deliverables(recipe, given, chosen) == {}

"""A run begins with what there is: with a loaded student or a new one, with a teacher or without; else one line says what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekd import recipe as recipes
from edgekd.errors import InputError

BASE = """\
name: small
data: {source: digits}
%(more)s
student: {model: {name: resnet8, base: 8}%(student)s}
learn: %(learn)s
targets: [{runtime: onnxruntime}]
"""
WEIGHTS = ", weights: s.safetensors"
QUANTIZE = "{step: quantize}"
PRUNE = "{step: prune, macs: 0.5, recover: {losses: [kd]}}"
LABELS = "{step: distil, losses: [cross-entropy]}"
KD = "{step: distil, losses: [kd]}"


def load(folder: Path, learn: str, *, student: str = "", more: str = "") -> recipes.Recipe:
    (folder / "s.safetensors").write_bytes(b"")
    path = folder / "r.yaml"
    path.write_text(BASE % {"learn": learn, "more": more, "student": student})
    return recipes.load(path)


@pytest.mark.parametrize(
    "learn", ["[]", f"[{QUANTIZE}]", f"[{PRUNE}, {QUANTIZE}]", f"[{LABELS}, {QUANTIZE}]"]
)
def test_a_loaded_student_begins_with_any_step(tmp_path: Path, learn: str) -> None:
    recipe = load(tmp_path, learn, student=WEIGHTS)
    assert recipe.teacher is None and recipe.named_teachers == {}


def test_what_is_left_out_of_learn_is_no_step(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    load(tmp_path, "[]", student=WEIGHTS)
    path.write_text(path.read_text().replace("learn: []\n", ""))
    assert recipes.load(path).steps == ()


def test_who_teaches_where_there_is_no_teacher(tmp_path: Path) -> None:
    (_, recover) = load(tmp_path, f"[{PRUNE}]", student=WEIGHTS).steps
    assert recover.teachers == ("student",)  # what was made smaller recovers by what it was
    recipe = load(tmp_path, f"[{LABELS}, {PRUNE}, {QUANTIZE}]")
    steps = {step.label: step for step in recipe.steps}
    assert steps["distil"].teachers == () and steps["distil"].answers == "none"
    assert steps["prune-recover"].teachers == ("distil",)
    assert steps["quantize"].teachers == () and steps["quantize"].words.teachers == ("student",)
    taught = load(tmp_path, f"[{KD}, {QUANTIZE}]", more="teacher: {model: resnet20}")
    assert [step.teachers for step in taught.steps] == [("teacher",), ("teacher",)]


@pytest.mark.parametrize(
    ("learn", "student", "more", "message"),
    [
        (f"[{QUANTIZE}]", "", "", "r.yaml:5: learn.0.step: got 'quantize' first, want distil"),
        (f"[{PRUNE}]", "", "", "learn.0.step: got 'prune' first, want distil"),
        ("[]", "", "", "learn: got no step, want distil, or `student.weights`"),
        (f"[{KD}]", WEIGHTS, "", "learn.0.losses.0: got 'kd', which compares with a teacher, want"),
        (
            "[{step: distil, scheme: ard, losses: [cross-entropy]}]",
            "",
            "",
            "learn.0.scheme: got 'ard', which asks a teacher, want `teacher` in the recipe",
        ),
        (
            f"[{LABELS}, {{step: quantize, teachers: [teacher]}}]",
            "",
            "",
            "learn.1.teachers: got 'teacher', want `teacher` in the recipe",
        ),
        (
            "[{step: distil, inherit: {}, losses: [cross-entropy]}]",
            "",
            "",
            "learn.0.inherit: got it, which begins with a teacher's parameters",
        ),
        (
            "[{step: distil, inherit: {}, losses: [kd]}]",
            WEIGHTS,
            "teacher: {model: resnet20}",
            "learn.0.inherit: got it beside `student.weights`, want one of them",
        ),
        (
            "[{step: distil, scheme: dml, losses: [kd]}]",
            WEIGHTS,
            "",
            "learn.0.scheme: got 'dml' beside `student.weights`",
        ),
        (f"[{LABELS}]", ", allow: [extra]", "", "student.allow: got it for a student that is tra"),
        (f"[{LABELS}]", ", norm: group" + WEIGHTS, "", "student.norm: got 'group' beside"),
        (f"[{LABELS}]", "", "teachers: {a: {model: resnet20}}", "teachers: got further teachers"),
        (f"[{LABELS}]", "", "synthesis: {}", "synthesis: got it, which makes samples from a"),
    ],
)
def test_what_cannot_begin_is_refused_in_one_line(
    tmp_path: Path, learn: str, student: str, more: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, learn, student=student, more=more)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_weights_that_are_not_there_are_named_by_their_key(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"student\.weights: got 'none.pt', want a file"):
        load(tmp_path, "[]", student=", weights: none.pt")

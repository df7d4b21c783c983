"""The roles of a recipe: only those that there are, and what its student is compared with."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekd import plan
from edgekd import recipe as recipes
from edgekd.plan import roles
from edgekd.run import Options
from edgekd.stage import Step

BASE = """\
name: small
data: {source: digits}
student: {model: {name: resnet8, base: 8}%s}
targets: [{runtime: onnxruntime, precision: %s}]
"""
TRAIN = "train: {epochs: 1}"
LEARN = {
    "nothing": "[]",
    "quantize": "[{step: quantize, train: null}]",
    "prune": "[{step: prune, macs: 0.5, recover: {losses: [kd]}}, {step: quantize, train: null}]",
    "labels": "[{step: distil, losses: [cross-entropy]}]",
    "dml": "[{step: distil, scheme: dml, losses: [kd]}]",
    "taught": "[{step: distil, losses: [kd]}]",
}


def load(
    folder: Path, learn: str, *, loaded: bool, teacher: bool = False, precision: str = "auto"
) -> recipes.Recipe:
    (folder / "s.safetensors").write_bytes(b"")
    text = BASE % (", weights: s.safetensors" if loaded else "", precision)
    text += f"learn: {LEARN[learn]}\n" + ("teacher: {model: resnet20}\n" if teacher else "")
    (folder / "r.yaml").write_text(text)
    return recipes.load(folder / "r.yaml")


def planned(folder: Path, recipe: recipes.Recipe) -> dict[str, Step]:
    options = Options(run_dir=folder / "run", store=folder / "store")
    steps = plan.steps(recipe, folder, options)
    labels = [step.label for step in steps]
    for number, step in enumerate(steps):
        assert {label for label, _ in step.takes.values()} <= set(labels[:number]), step.label
    return {step.label: step for step in steps}


@pytest.mark.parametrize(
    ("learn", "loaded", "teacher", "want"),
    [
        ("nothing", True, False, {"student": "student"}),
        ("quantize", True, False, {"student": "student"}),
        ("prune", True, False, {"reference": "student", "student": "prune-recover"}),
        ("labels", True, False, {"student": "distil"}),
        ("labels", False, False, {"student": "distil"}),
        ("dml", False, False, {"control": "control", "student": "distil"}),
        ("quantize", True, True, {"teacher": "teacher", "student": "student"}),
        (
            "taught",
            True,
            True,
            {"teacher": "teacher", "control": "control", "student": "distil"},
        ),
    ],
)
def test_a_recipe_has_the_roles_that_there_are(
    tmp_path: Path, learn: str, loaded: bool, teacher: bool, want: dict[str, str]
) -> None:
    recipe = load(tmp_path, learn, loaded=loaded, teacher=teacher)
    assert roles.role_labels(recipe) == want
    steps = planned(tmp_path, recipe)
    assert ("teacher" in steps, "control" in steps) == (teacher, "control" in want)
    reference = next(role for role in ("teacher", "reference", "student") if role in want)
    assert steps["choose"].takes["reference_score"] == (want[reference], "score.json")


def test_a_recipe_may_do_without_a_control(tmp_path: Path) -> None:
    recipe = load(tmp_path, "taught", loaded=False, teacher=True)
    assert "control" in roles.role_labels(recipe)
    assert "control" not in roles.role_labels(recipe.model_copy(update={"control": False}))
    assert "control" not in recipe.model_dump()  # as it was before it could be said


def test_nothing_is_trained_or_tuned_for_a_student_that_is_there(tmp_path: Path) -> None:
    for learn in ("nothing", "quantize"):
        labels = planned(tmp_path, load(tmp_path, learn, loaded=True))
        assert not [label for label in labels if label.startswith(("tune", "control", "distil"))]
    taught = planned(tmp_path, load(tmp_path, "prune", loaded=True))
    assert {"tune-student", "knowledge-student"} <= taught.keys()


def test_a_loaded_student_and_its_control_begin_with_the_same_weights(tmp_path: Path) -> None:
    steps = planned(tmp_path, load(tmp_path, "taught", loaded=True, teacher=True))
    for label in ("distil", "control"):
        takes = steps[label].takes
        assert takes["start_blueprint"] == ("student", "blueprint.json")
        assert takes["start_weights"] == ("student", "weights.safetensors")


@pytest.mark.parametrize(
    ("learn", "precision", "want"),
    [
        ("quantize", "auto", {"student"}),
        ("quantize", "[int8]", {"student", "reference"}),
        ("prune", "auto", {"student", "reference"}),
    ],
)
def test_the_same_float_model_is_measured_once(
    tmp_path: Path, learn: str, precision: str, want: set[str]
) -> None:
    steps = planned(tmp_path, load(tmp_path, learn, loaded=True, precision=precision))
    measured = steps["measure"].settings.candidates  # type: ignore[attr-defined]
    assert {one.model for one in measured} == want
    floats = [one.model for one in measured if one.precision == "fp32"]
    assert sorted(set(floats)) == sorted(floats)

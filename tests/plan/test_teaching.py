"""Who teaches in a step, and what is asked of them beforehand, once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from edgekd import plan
from edgekd import recipe as recipes
from edgekd.run import Options
from edgekd.stage import Step

KD = ["cross-entropy", "kd"]


def planned(folder: Path, *learn: dict[str, object], **more: object) -> dict[str, Step]:
    recipe = {
        "name": "small",
        "data": {"source": "digits"},
        "teacher": {"model": "resnet20"},
        "student": {"model": "resnet8"},
        "learn": [{"step": "distil", "losses": KD, **step} for step in learn],
        "targets": [{"runtime": "onnxruntime"}],
        **more,
    }
    path = folder / "r.yaml"
    path.write_text(yaml.safe_dump(recipe))
    options = Options(run_dir=folder / "run", store=folder / "store")
    steps = plan.steps(recipes.load(path), folder, options)
    labels = [step.label for step in steps]
    assert len(set(labels)) == len(labels)
    for number, step in enumerate(steps):
        assert {label for label, _ in step.takes.values()} <= set(labels[:number]), step.label
    return {step.label: step for step in steps}


def test_an_assistant_answers_once_and_teaches(tmp_path: Path) -> None:
    steps = planned(tmp_path, {"model": "resnet14"}, {"start": "fresh", "teachers": ["distil-1"]})
    assert steps["distil-1"].takes["resolved"][0] == "tune-distil-1"
    assert steps["knowledge-distil-1"].takes["weights"] == ("distil-1", "weights.safetensors")
    assert steps["knowledge-distil-1"].takes["resolved"][0] == "tune-distil-1"
    student = steps["distil-2"]
    assert student.takes["knowledge"] == ("knowledge-distil-1", "knowledge.npy")
    assert "start_weights" not in student.takes
    assert steps["export-student"].takes["weights"][0] == "distil-2"


def test_answers_are_stored_as_the_recipe_says(tmp_path: Path) -> None:
    knowledge = {"encoding": "int8", "top_k": 4}
    steps = planned(tmp_path, {}, {"step": "quantize", "losses": ["kd"]}, knowledge=knowledge)
    for label in ("distil", "quantize-asymmetric"):
        assert steps[label].takes["knowledge"] == ("knowledge", "*")
        assert steps[label].takes["knowledge/knowledge.json"] == ("knowledge", "knowledge.json")
    said = steps["knowledge"].settings.model_dump(mode="json")
    assert said["storage"] == {**knowledge, "temperature": 1.0}
    assert "storage" not in planned(tmp_path, {})["knowledge"].settings.model_dump(mode="json")


def test_several_teachers_are_numbered_and_each_is_asked_once(tmp_path: Path) -> None:
    own = {"teachers": {"wide": {"model": "wrn-16-2"}}}
    both = {"teachers": ["teacher", "wide"], "combine": {"rule": "entropy"}}
    steps = planned(tmp_path, both, {**both, "start": "fresh"}, **own)
    assert steps["teacher-wide"].takes["resolved"][0] == "tune-teacher-wide"
    for label in ("distil-1", "distil-2"):
        assert steps[label].takes["knowledge"][0] == "knowledge"
        assert steps[label].takes["knowledge_2"][0] == "knowledge-wide"
        assert steps[label].settings.combine.rule == "entropy"  # type: ignore[attr-defined]


def test_a_loss_that_looks_inside_gets_the_model_itself(tmp_path: Path) -> None:
    steps = planned(tmp_path, {"losses": ["cross-entropy", "fitnet"]})
    assert "knowledge" not in steps
    assert steps["distil"].takes["teacher_weights"] == ("teacher", "weights.safetensors")


@pytest.mark.parametrize("scheme", ["dml", "tf-kd", "ema"])
def test_no_teacher_is_asked_where_none_teaches(tmp_path: Path, scheme: str) -> None:
    steps = planned(tmp_path, {"scheme": scheme})
    assert "knowledge" not in steps
    assert not any("teacher" in name or "knowledge" in name for name in steps["distil"].takes)


def test_a_way_is_followed(tmp_path: Path) -> None:
    teacher = {"model": "resnet20", "waypoints": 2}
    steps = planned(tmp_path, {"scheme": "route"}, teacher=teacher)
    assert steps["teacher"].settings.waypoints == 2  # type: ignore[attr-defined]
    for number in (1, 2):
        want = ("teacher", f"waypoint-{number}.safetensors")
        assert steps["distil"].takes[f"teacher_waypoint_{number}"] == want


def test_parameters_are_inherited(tmp_path: Path) -> None:
    steps = planned(tmp_path, {"inherit": {"rule": "slice", "hold": 0.1}})
    assert steps["distil"].takes["inherit_weights"] == ("teacher", "weights.safetensors")


def test_after_a_student_with_other_layers_its_blueprint_goes_on(tmp_path: Path) -> None:
    steps = planned(tmp_path, {"losses": ["simkd"]}, {})
    assert steps["distil-2"].takes["start_blueprint"] == ("distil-1", "blueprint.json")


def test_what_a_model_sees_is_in_every_step_that_builds_it(tmp_path: Path) -> None:
    seen = {"height": 6, "width": 6}
    steps = planned(tmp_path, {}, student={"model": "resnet8", "input": seen})
    for label in ("control", "distil", "tune-student"):
        assert steps[label].settings.input.height == 6  # type: ignore[attr-defined]
    assert steps["teacher"].settings.input is None  # type: ignore[attr-defined]


def test_a_teacher_whose_texts_are_learned_is_not_asked_again(tmp_path: Path) -> None:
    """Sequence-level distillation (Kim and Rush 2016): the texts are what it says, and the control learns the data's."""
    (tmp_path / "texts.txt").write_text("Once upon a time. " * 99)
    corpus = {
        "task": "language-modelling",
        "data": {"source": f"text-corpus:{tmp_path / 'texts.txt'}"},
        "teacher": {"model": "text-decoder"},
        "student": {"model": "text-decoder"},
        "synthesis": {"method": {"name": "prompted-texts", "prompt_tokens": 4}, "count": 10},
    }
    steps = planned(tmp_path, {"losses": ["cross-entropy"]}, **corpus)
    assert steps["distil"].takes["train"] == ("synthesize", "train")
    assert not any(name.startswith(("teacher", "knowledge")) for name in steps["distil"].takes)
    assert "control" in steps and steps["control"].takes["train"][0] != "synthesize"
    asked = planned(tmp_path, {"losses": ["cross-entropy", "forward-kl"]}, **corpus)
    assert asked["distil"].takes["teacher_weights"] == ("teacher", "weights.safetensors")

from __future__ import annotations

from pathlib import Path

from edgekd import plan
from edgekd import recipe as recipes
from edgekd.plan import ablation
from edgekd.plan import closing
from edgekd.run import Options
from edgekd.stage import Step
from edgekd.stages import explain
from edgekd.store import CreationTime
from edgekd.store import StoreEntry

TWO = Path(__file__).parents[2] / "pipelines" / "quickstart.yaml"

EMPTY = StoreEntry("0" * 64, {}, {}, CreationTime("2026-01-02T03:04:05Z", 1.0))


def planned(tmp_path: Path, losses: str, more: str = "") -> tuple[Step, ...]:
    learn = f"learn=[{{step: distil, losses: {losses}}}{more}]"
    recipe = recipes.load(TWO, [learn])
    return plan.steps(recipe, TWO.parent, Options(run_dir=tmp_path / "r", store=tmp_path / "s"))


def test_each_term_is_left_out_once_and_all_else_is_the_same(tmp_path: Path) -> None:
    steps = planned(tmp_path, "[cross-entropy, {name: kd, weight: 9.0}, dist]")
    whole = next(step for step in steps if step.label == "distil")
    found = list(ablation.steps(steps))
    assert [step.label for step in found] == [
        "distil-without-cross-entropy",
        "distil-without-kd",
        "distil-without-dist",
    ]
    for step, left in zip(found, ((1, 2), (0, 2), (0, 1)), strict=True):
        want = tuple(whole.settings.losses[number] for number in left)  # type: ignore[attr-defined]
        assert step.settings.losses == want  # type: ignore[attr-defined]
        same = whole.settings.model_copy(update={"losses": want})
        assert step == whole._replace(label=step.label, settings=same)


def test_the_first_distillation_is_the_one(tmp_path: Path) -> None:
    second = ", {step: distil, losses: [cross-entropy, kd]}"
    labels = [step.label for step in ablation.steps(planned(tmp_path, "[kd, kd]", second))]
    assert labels == ["distil-1-without-kd-1", "distil-1-without-kd-2"]


def test_an_assistant_is_not_the_student(tmp_path: Path) -> None:
    second = ", {step: distil, losses: [cross-entropy, dist]}"
    steps = planned(tmp_path, "[cross-entropy, kd]", second)
    teacher = next(step for step in steps if step.label == "teacher").settings
    changed = [
        step._replace(settings=step.settings.model_copy(update={"model": teacher.model}))  # type: ignore[attr-defined]
        if step.label == "distil-1"
        else step
        for step in steps
    ]
    labels = [step.label for step in ablation.steps(changed)]
    assert labels == ["distil-2-without-cross-entropy", "distil-2-without-dist"]


def test_one_term_is_not_left_out(tmp_path: Path) -> None:
    assert list(ablation.steps(planned(tmp_path, "[kd]"))) == []
    assert list(ablation.steps(())) == []


def test_labels_tell_what_was_left_out() -> None:
    assert ablation.ablated_term("distil-1-without-kd-2") == ("distil-1", "kd-2")
    assert ablation.ablated_term("export-student")[1] == ""


def test_the_explanation_takes_what_was_trained_without(tmp_path: Path) -> None:
    explained = "{ablation: true, split: test, layers: [conv1]}"
    recipe = recipes.load(TWO, [f"explain={explained}"])
    steps = planned(tmp_path, "[cross-entropy, kd]")
    labels = [step.label for step in (*steps, *ablation.steps(steps))]
    entries = dict.fromkeys(labels, EMPTY)
    found = {step.label: step for step in closing.steps(recipe, entries, None)}["explain"]
    assert found.takes["whole_weights"] == ("distil", "weights.safetensors")
    for term in ("cross-entropy", "kd"):
        want = (f"distil-without-{term}", "blueprint.json")
        assert found.takes[f"without/{term}_blueprint"] == want
    assert found.takes["test"] == ("data", "test")
    assert found.settings == explain.Config(split="test", layers=("conv1",))
    bare = dict.fromkeys((step.label for step in steps), EMPTY)
    plain = closing.steps(recipes.load(TWO), bare, None)[0]
    assert not any("whole" in name or "without" in name for name in plain.takes)
    assert plain.takes["validation"] == ("data", "validation") and "test" not in plain.takes
    assert {name.split("_")[0] for name in plain.takes if name.endswith("_weights")} == {
        "teacher",
        "control",
        "student",
    }

from __future__ import annotations

from pathlib import Path

import pytest

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

INPUTS = {"stage": "toy", "packages": {"numpy": "2.0"}, "settings": {"candidates": []}}
EMPTY = StoreEntry("0" * 64, INPUTS, {}, CreationTime("2026-01-02T03:04:05Z", 1.0))


def planned(
    tmp_path: Path, losses: str, more: str = "", ablation: bool = True
) -> tuple[recipes.Recipe, dict[str, Step]]:
    learn = f"learn=[{{step: distil, losses: {losses}}}{more}]"
    recipe = recipes.load(TWO, [learn, f"explain.ablation={str(ablation).lower()}"])
    steps = plan.steps(recipe, TWO.parent, Options(run_dir=tmp_path / "r", store=tmp_path / "s"))
    return recipe, {step.label: step for step in steps}


def test_each_term_is_left_out_once_and_all_else_is_the_same(tmp_path: Path) -> None:
    recipe, steps = planned(tmp_path, "[cross-entropy, {name: kd, weight: 9.0}, dist]")
    whole, found = steps["distil"], ablation.find_ablations(recipe)
    assert [(each.label, each.whole, each.term) for each in found] == [
        (f"distil-without-{term}", "distil", term) for term in ("cross-entropy", "kd", "dist")
    ]
    for each, left in zip(found, ((1, 2), (0, 2), (0, 1)), strict=True):
        want = tuple(whole.settings.losses[number] for number in left)  # type: ignore[attr-defined]
        assert each.losses == want
        same = whole.settings.model_copy(update={"losses": want})
        assert steps[each.label] == whole._replace(label=each.label, settings=same)


def test_the_first_distillation_is_the_one(tmp_path: Path) -> None:
    recipe, _ = planned(tmp_path, "[kd, kd]", ", {step: distil, losses: [cross-entropy, kd]}")
    labels = [each.label for each in ablation.find_ablations(recipe)]
    assert labels == ["distil-1-without-kd-1", "distil-1-without-kd-2"]


def test_an_assistant_is_not_the_student(tmp_path: Path) -> None:
    second = "{step: distil, start: fresh, losses: [cross-entropy, dist]}"
    recipe, _ = planned(tmp_path, "[cross-entropy, kd], model: resnet14", f", {second}")
    labels = [each.label for each in ablation.find_ablations(recipe)]
    assert labels == ["distil-2-without-cross-entropy", "distil-2-without-dist"]


@pytest.mark.parametrize(("losses", "asked"), [("[kd]", True), ("[cross-entropy, kd]", False)])
def test_one_term_is_not_left_out_nor_is_any_where_nobody_asks(
    tmp_path: Path, losses: str, asked: bool
) -> None:
    recipe, steps = planned(tmp_path, losses, ablation=asked)
    assert ablation.find_ablations(recipe) == () and not any("without" in each for each in steps)


def test_the_explanation_takes_what_was_trained_without(tmp_path: Path) -> None:
    explained = "explain={ablation: true, split: test, layers: [conv1]}"
    recipe = recipes.load(TWO, ["learn=[{step: distil, losses: [cross-entropy, kd]}]", explained])
    options = Options(run_dir=tmp_path / "r", store=tmp_path / "s")
    steps = plan.steps(recipe, TWO.parent, options)
    entries = dict.fromkeys((step.label for step in steps), EMPTY)
    found = {step.label: step for step in closing.steps(recipe, entries, None)}["explain"]
    assert found.takes["whole_weights"] == ("distil", "weights.safetensors")
    for term in ("cross-entropy", "kd"):
        want = (f"distil-without-{term}", "blueprint.json")
        assert found.takes[f"without/{term}_blueprint"] == want
    assert found.takes["test"] == ("data", "test")
    assert found.settings == explain.ExplainConfig(split="test", layers=("conv1",))
    bare = dict.fromkeys((step.label for step in steps), EMPTY)
    plain = closing.steps(recipes.load(TWO), bare, None)[0]
    assert not any("whole" in name or "without" in name for name in plain.takes)
    assert plain.takes["validation"] == ("data", "validation") and "test" not in plain.takes
    assert {name.split("_")[0] for name in plain.takes if name.endswith("_weights")} == {
        "teacher",
        "control",
        "student",
    }

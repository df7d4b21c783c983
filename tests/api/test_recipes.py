"""What single jobs write are recipes, for every task that has losses of both kinds."""

from __future__ import annotations

from typing import Any

import pytest

from edgekd import recipe as recipes
from edgekd.api.recipes import distil_recipe
from edgekd.api.recipes import export_recipe
from edgekd.api.recipes import prune_recipe
from edgekd.api.recipes import quantize_recipe
from edgekd.recipe import text
from edgekd.recipe.steps import Distillation
from edgekd.recipe.steps import Quantization
from edgekd.recipe.steps import Reduction
from edgekd.tasks import BUILT_IN
from edgekd.tasks import list_usual_losses


def read(value: dict[str, Any]) -> recipes.Recipe:
    return recipes.validate(text.from_value(value, "recipe"))


def test_quantize_is_calibration_alone_unless_it_is_to_learn() -> None:
    value = quantize_recipe("resnet8", data="digits", weights="a.pt", targets=("openvino",))
    found = read(value)
    (step,) = found.steps
    assert isinstance(step, Quantization) and step.words.train is None
    assert found.teacher is None and not found.control and found.name == "quantize-resnet8"
    assert [target.runtime for target in found.targets] == ["openvino"]
    learned = read(quantize_recipe("resnet8", data="digits", weights="a.pt", epochs=2))
    (step,) = learned.steps
    assert isinstance(step, Quantization) and step.words.train is not None
    assert step.words.train.epochs == 2


def test_prune_learns_again_from_what_it_was() -> None:
    value = prune_recipe("resnet8", data="digits", weights="a.pt", budget={"macs": 0.5})
    steps = read(value).steps
    assert isinstance(steps[0], Reduction) and isinstance(steps[1], Distillation)
    assert (
        len(
            read(
                prune_recipe(
                    "resnet8", data="digits", weights="a.pt", budget={"macs": 0.5}, epochs=0
                )
            ).steps
        )
        == 1
    )
    for budget in ({}, {"macs": 0.5, "speedup": 2.0}):
        with pytest.raises(ValueError, match="want exactly one of"):
            prune_recipe("resnet8", data="digits", weights="a.pt", budget=budget)


def test_export_learns_nothing() -> None:
    model = {"name": "resnet8", "base": 4}
    found = read(export_recipe(model, data="digits", weights="a.pt"))
    assert found.steps == () and found.name == "export-resnet8"


@pytest.mark.parametrize("task", ["classification", "regression", "multi-label", "segmentation"])
def test_distil_has_the_usual_losses_of_its_task(task: str) -> None:
    words = {"regression": ("mlp", "mlp"), "multi-label": ("mlp", "mlp")}
    sources = {
        "segmentation": "digit-scenes",
        "regression": "turned-digits",
        "multi-label": "digit-crowds",
    }
    student, teacher = words.get(
        task, ("unet", "unet") if task == "segmentation" else ("resnet8", "resnet20")
    )
    value = distil_recipe(
        student, teacher, data=sources.get(task, "digits"), task=task, quantize=True
    )
    found = read(value)
    first, last = found.steps
    assert isinstance(first, Distillation) and isinstance(last, Quantization)
    usual = [each if isinstance(each, dict) else {"name": each} for each in list_usual_losses(task)]
    assert [term.loss.name for term in first.losses] == [each["name"] for each in usual]
    assert [term.weight for term in first.losses] == [each.get("weight", 1.0) for each in usual]
    assert first.losses == read({**value, "learn": [{"step": "distil"}]}).steps[0].losses  # type: ignore[union-attr]
    assert ("task" in value) == (task != "classification")


def test_an_onnx_file_is_named_after_itself() -> None:
    value = quantize_recipe("models/Big Net.onnx", data="digits")
    assert value["student"]["model"] == "onnx:models/Big Net.onnx"
    assert value["name"] == "quantize-big-net" and "task" not in value
    found = read(quantize_recipe("a.onnx", data="arrays:samples.npz"))
    assert BUILT_IN[found.task].from_answers

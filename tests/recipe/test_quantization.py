"""What a recipe with weights in blocks may say, and what its targets may ask for."""

from __future__ import annotations

from typing import Any

import pytest

from edgekd import recipe
from edgekd.devices import local
from edgekd.errors import InputError
from edgekd.plan import deploying
from edgekd.plan import profiles
from edgekd.recipe import Recipe
from edgekd.recipe import text as recipe_text
from edgekd.recipe.steps import find_quantization

PLAIN = """
name: plain
task: language-modelling
data: {source: {name: text-corpus, reference: texts}}
student: {model: {name: text-decoder, layers: 1}}
learn:
  - {step: distil, losses: [cross-entropy]}
  - {step: quantize, weights: int4}
targets: [{runtime: onnxruntime, precision: [fp32, int4]}, {runtime: openvino}]
"""


def read(*overrides: str) -> Recipe:
    document = recipe_text.parse(PLAIN, ".yaml", "r.yaml")
    return recipe.validate(recipe_text.override(document, list(overrides)))


def test_weights_in_blocks_are_measured_by_their_name() -> None:
    found = read()
    chosen = profiles.target_profiles(found, local.DEVICE)
    assert chosen == {"onnxruntime": "weight-blocks", "openvino": "weight-blocks"}
    rows = [(one.name, one.profile) for one in deploying.candidates(found, chosen)]
    assert ("student-onnxruntime-int4", "weight-blocks") in rows and (
        "student-openvino-int4",
        "weight-blocks",
    ) in rows
    assert not any(name.endswith("int8") for name, _ in rows)
    last = find_quantization(found.steps)
    assert (
        last is not None and last.words.train is not None and last.words.train.learning_rate == 5e-5
    )
    shorter = find_quantization(read("learn.1.train={epochs: 1}").steps)
    assert shorter is not None and shorter.words.train is not None
    assert (shorter.words.train.epochs, shorter.words.train.learning_rate) == (1, 5e-5)
    faster = find_quantization(read("learn.1.train={learning_rate: 0.01}").steps)
    assert faster is not None and faster.words.train is not None
    assert faster.words.train.learning_rate == 0.01
    as_int8 = read("learn.1.weights=int8", "targets.0.precision=[fp32, int8]")
    names = [one.name for one in deploying.candidates(as_int8, chosen)]
    assert "student-onnxruntime-int8" in names and not any(name.endswith("int4") for name in names)
    beside = read("learn.1.weights=int8", "targets.0.precision=[fp32]", "targets.1.precision=auto")
    names = [one.name for one in deploying.candidates(beside, chosen) if one.profile]
    assert names == ["student-openvino-int8", "student-openvino-int8-bf16"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("learn.1.calibration=mse", "learn.1.calibration: got mse, want it left out: only weights"),
        ("learn.1.score_drop=0.1", "learn.1.score_drop"),
        ("learn.1.group=48", "learn.1.group"),
        ("learn.1.profiles=[x86]", "got 'x86', which no target runs"),
        ("targets.0.precision=[int8]", "got 'int8', want 'int4', as learn quantizes"),
        ("targets.0.profile=x86", "got 'x86'"),
        ("targets.0.precision=[int8-bf16]", "got 'int8-bf16', want 'int4', as learn quantizes"),
        (
            "learn.1={step: quantize, group: 64}",
            "learn.1.group: got 64, want weights: int4 or int8",
        ),
        ("learn.1={step: quantize}", "got 'int4', want 'int8', as learn quantizes"),
        ("learn=[{step: distil, losses: [cross-entropy]}]", "got 'int4', want a `quantize` step"),
        (
            "targets.0={runtime: tensorrt, precision: [int4]}",
            "got 'int4' for tensorrt, want it left out",
        ),
    ],
)
def test_what_contradicts_is_refused(override: str, message: str) -> None:
    with pytest.raises(InputError) as fault:
        read(override)
    assert message in str(fault.value)


def test_int8_of_activations_is_as_it_was() -> None:
    found: dict[str, Any] = dict(
        profiles.target_profiles(
            read("learn.1={step: quantize}", "targets.0.precision=auto"), local.DEVICE
        )
    )
    assert found["openvino"] == "openvino" and found["onnxruntime"] != "weight-blocks"

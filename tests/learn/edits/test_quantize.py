"""The edit gives the same quantized model back, and refuses what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from edgekd.errors import InputError
from edgekd.learn import blueprint
from edgekd.learn.edits import quantize
from edgekd.learn.quant import insertion
from edgekd.learn.quant import post_training
from edgekd.profile import NUMERICS
from tests import quant_example as example
from tests.learn.blueprint_example import image_blueprint

PLAN = image_blueprint(builder="resnet8", classes=10, channels=1, height=8, width=8)


def test_saved_and_loaded_it_answers_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    images = torch.randn(8, 1, 8, 8)
    started = post_training.quantize(
        blueprint.build(PLAN),
        PLAN.interface,
        NUMERICS["asymmetric"],
        lambda: [(images,)],
        float_layers=("conv1",),
        weight_bits={"fc": 4},
    )
    edit = {
        "name": "quantize",
        "scheme": "asymmetric",
        "float_layers": ["conv1"],
        "weight_bits": {"fc": 4},
    }
    plan = PLAN.model_copy(update={"edits": (edit,)})
    paths = blueprint.save(started.model, plan, tmp_path)
    again = blueprint.load(paths["blueprint.json"], paths["weights.safetensors"])
    with torch.no_grad():
        assert torch.equal(again(images), started.model.eval()(images))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"scheme": "int2"}, "scheme: got 'int2'"),
        ({"scheme": "asymmetric", "float_layers": ["no.such"]}, "'no.such'"),
        ({"scheme": "asymmetric", "weight_bits": {"fc": 99}}, "weight_bits"),
        ({"scheme": "asymmetric", "code": "import os"}, "code"),
        ({}, "scheme"),
    ],
)
def test_a_hostile_edit_is_refused_in_one_line(edit: dict[str, Any], message: str) -> None:
    plan = PLAN.model_copy(update={"edits": ({"name": "quantize"} | edit,)})
    with pytest.raises(InputError, match=message) as error:
        blueprint.build(plan)
    assert "\n" not in str(error.value)


def test_called_alone() -> None:
    model = quantize.apply(example.made(), {"scheme": "symmetric"}, example.INTERFACE)
    assert insertion.is_quantized(model)

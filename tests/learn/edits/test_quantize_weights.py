"""A blueprint with weights in blocks gives the model back; what does not fit it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from edgekd.errors import InputError
from edgekd.learn import blueprint
from edgekd.learn.blueprint import Blueprint
from edgekd.learn.weight_only.formats import BlockChoice
from edgekd.learn.weight_only.start import quantize_weights
from tests.block_example import INTERFACE
from tests.block_example import decoder
from tests.block_example import texts


def plan(layers: dict[str, Any]) -> Blueprint:
    arguments = {"layers": 2, "width": 48, "heads": 4}
    edit = {"name": "quantize-weights", "layers": layers}
    return Blueprint(
        builder="text-decoder", arguments=arguments, interface=INTERFACE, edits=(edit,)
    )


def test_it_is_given_back(tmp_path: Path) -> None:
    choice = BlockChoice("int4", 32, False, "int8", "int8")
    found = quantize_weights(decoder(), INTERFACE, choice, texts, rounding="least-squares")
    forms = {name: form._asdict() for name, form in found.plan.formats.items()}
    saved = blueprint.save(found.model, plan(forms), tmp_path)
    again = blueprint.load(saved["blueprint.json"], saved["weights.safetensors"])
    inputs = texts(1)[0]
    with torch.no_grad():
        assert torch.equal(again(*inputs), found.model.eval()(*inputs))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({}, "at least 1"),
        ({"norm": {"bits": 4, "group": 16}}, "norm: got LayerNorm"),
        ({"nowhere": {"bits": 4, "group": 16}}, "nowhere: got NoneType"),
        ({"words": {"bits": 4, "group": 32}}, "words: got blocks of 32 for 48 inputs"),
        ({"words": {"bits": 3, "group": 16}}, "layers.words.bits"),
        ({"words": {"bits": 4, "group": 2}}, "layers.words.group"),
    ],
)
def test_what_does_not_fit_is_refused(layers: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        blueprint.build(plan(layers))

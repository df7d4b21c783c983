"""One pass that leaves a model as it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekd.learn import complexity
from edgekd.learn.forward_pass import run_once
from edgekd.learn.lowrank import layers
from edgekd.learn.mathematics import cka
from edgekd.learn.method import taps
from edgekd.learn.pruning import cuts
from tests.learn.blueprint_example import image_blueprint

PLAN = image_blueprint("resnet8", classes=3, channels=1, height=4, width=4)
IMAGES = torch.zeros(4, 1, 4, 4)


def partly_frozen() -> nn.Module:
    """In training mode, but for a batch norm."""
    norm = nn.BatchNorm2d(2).eval()
    model = nn.Sequential(nn.Conv2d(1, 2, 3), norm, nn.Flatten(), nn.Linear(8, 3))
    model.train()
    norm.eval()
    return model


@pytest.mark.parametrize(
    "look",
    [
        lambda model: run_once(model, IMAGES),
        lambda model: complexity.count_macs(model, PLAN),
        lambda model: layers.find_layers(model, IMAGES),
        lambda model: cka.choose_layers(model, IMAGES),
        lambda model: cka.similarity(model, model, (["0"], ["3"]), [(IMAGES,)]),
        lambda model: taps.find_points(model, IMAGES),
        lambda model: cuts.channel_macs(model, [], IMAGES),
    ],
    ids=["itself", "complexity", "low rank", "layers", "similarity", "taps", "cuts"],
)
def test_what_only_looks_leaves_frozen_parts_frozen(look: object) -> None:
    model = partly_frozen()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert callable(look)
    look(model)
    assert [module.training for module in model.modules()] == [True, True, False, True, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


def test_a_model_that_fails_is_left_as_it_was_too() -> None:
    model = partly_frozen()
    with pytest.raises(RuntimeError):
        run_once(model, torch.zeros(1, 5, 4, 4))
    assert [module.training for module in model.modules()] == [True, True, False, True, True]

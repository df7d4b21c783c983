"""Parameters and multiply-accumulates against numbers added up by hand."""

from __future__ import annotations

import torch
from torch import nn

from edgekd.learn.blueprint import build
from edgekd.learn.complexity import count_macs
from edgekd.learn.complexity import count_parameters
from tests.learn.blueprint_example import image_blueprint

BLUEPRINT = image_blueprint(builder="resnet8", classes=10, channels=3, height=8, width=6)


def small() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=4, bias=False),
        nn.Conv2d(4, 8, 1, bias=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 10),
    )


def test_by_hand() -> None:
    model = small()
    assert count_parameters(model) == (3 * 4 * 9 + 4) + (4 + 4) + 4 * 9 + 4 * 8 + (8 * 10 + 10)
    convolutions = 8 * 6 * 3 * 4 * 9 + 4 * 3 * 4 * 9 + 4 * 3 * 4 * 8
    assert count_macs(model, BLUEPRINT) == convolutions + 8 * 10


def test_resnet8_by_hand() -> None:
    """Sides 32, 16 and 8; 9 c^2 a convolution; stages of two, the first halving; two shortcuts."""
    blueprint = image_blueprint(builder="resnet8", classes=100, channels=3, height=32, width=32)
    first = 32 * 32 * (9 * 3 * 16 + 2 * 9 * 16 * 16)
    second = 16 * 16 * (9 * 16 * 32 + 9 * 32 * 32 + 16 * 32)
    third = 8 * 8 * (9 * 32 * 64 + 9 * 64 * 64 + 32 * 64)
    assert count_macs(build(blueprint), blueprint) == first + second + third + 64 * 100


def test_a_tied_weight_counts_once() -> None:
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    assert count_parameters(model) == 9


def test_counting_changes_nothing() -> None:
    model = small()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    count_macs(model, BLUEPRINT)
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    count_macs(model.eval(), BLUEPRINT)
    assert not model.training

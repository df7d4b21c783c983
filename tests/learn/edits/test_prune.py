"""The edit builds what it is told and nothing else; a hostile one is refused before anything is built."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from edgekd.errors import InputError
from edgekd.interface import image_classifier
from edgekd.learn.blueprint import build
from edgekd.learn.edits import EDITS
from edgekd.learn.edits import prune
from tests.learn.blueprint_example import image_blueprint

IMAGES = torch.zeros(2, 3, 8, 8)
ENDS = image_classifier(classes=4, channels=3, height=8, width=8)


def net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1, bias=False),
        nn.BatchNorm2d(8, eps=1e-3, momentum=0.2),
        nn.Conv2d(8, 8, (3, 5), padding=(1, 2), groups=8, padding_mode="circular"),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 4, bias=False),
    )


def layer(path: str, inputs: Any, outputs: Any, groups: Any = 1) -> dict[str, Any]:
    return {"path": path, "inputs": inputs, "outputs": outputs, "groups": groups}


def test_only_widths_change() -> None:
    layers = [layer("0", 3, 5), layer("1", 5, 5), layer("2", 5, 5, 5), layer("5", 5, 4)]
    model = prune.apply(net(), {"layers": layers}, ENDS)
    assert str(model[0]) == str(nn.Conv2d(3, 5, 3, 2, 1, bias=False))
    assert str(model[1]) == str(nn.BatchNorm2d(5, eps=1e-3, momentum=0.2))
    want = nn.Conv2d(5, 5, (3, 5), padding=(1, 2), groups=5, padding_mode="circular")
    assert str(model[2]) == str(want)
    assert str(model[5]) == str(nn.Linear(5, 4, bias=False))
    assert model.eval()(IMAGES).shape == (2, 4)


@pytest.mark.parametrize(
    "said",
    [
        layer("0", 3, 9),  # wider than it was
        layer("0", 4, 8),
        layer("1", 4, 8),  # a batch norm that changes its width
        layer("2", 4, 8, 8),  # depthwise no more
        layer("2", 4, 4, 8),
        layer("2", 4, 4, 1),
        layer("0", 3, 4, 4),
        layer("3", 1, 1),  # no layer with channels
        layer("7", 1, 1),
        layer("", 1, 1),
        layer("0.weight", 1, 1),
        layer("0", 0, 4),
        layer("0", 3, -1),
        layer("0", 3, 2**40),
        layer("0", 3, 4.0),
        layer("0", 3, True),
        layer("0", "3", 4),
        {"path": "0", "inputs": 3},
        {**layer("0", 3, 4), "code": "x"},
    ],
)
def test_what_does_not_fit_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        prune.apply(net(), {"layers": [said]}, ENDS)


def test_an_edit_names_layers() -> None:
    for edit in ({}, {"layers": []}, {"layers": [layer("0", 3, 4)], "also": 1}):
        with pytest.raises(ValidationError):
            prune.apply(net(), edit, ENDS)


def test_groups_of_several_channels_keep_their_number() -> None:
    model = nn.Sequential(nn.Conv2d(8, 8, 1, groups=4))
    with pytest.raises(ValueError, match="do not divide"):
        prune.apply(model, {"layers": [layer("0", 6, 8, 4)]}, ENDS)
    assert prune.apply(model, {"layers": [layer("0", 8, 4, 4)]}, ENDS)[0].out_channels == 4


@pytest.mark.parametrize(
    "layers",
    [
        [layer("layer1.0.conv1", 16, 8)],  # the batch norm after it still wants 16
        [layer("fc", 64, 2)],  # of three classes
    ],
)
def test_a_blueprint_whose_layers_do_not_fit_one_another(layers: list[dict[str, Any]]) -> None:
    plan = image_blueprint(
        builder="resnet8",
        classes=3,
        channels=1,
        height=8,
        width=8,
        edits=({"name": "prune", "layers": layers},),
    )
    assert "prune" in EDITS
    with pytest.raises(InputError):
        build(plan)

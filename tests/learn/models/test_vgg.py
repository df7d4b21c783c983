"""Plain convolutional networks: parameters by hand, poolings, names of the published checkpoints."""

from __future__ import annotations

import pytest
from torch import nn

from edgekd.learn.models.vgg import vgg

# Simonyan and Zisserman 2015, table 1, columns A and B; vgg8 has one convolution a stage.
CONVOLUTIONS = {
    8: (64, 128, 256, 512, 512),
    11: (64, 128, 256, 256, 512, 512, 512, 512),
    13: (64, 64, 128, 128, 256, 256, 512, 512, 512, 512),
}


@pytest.mark.parametrize("depth", CONVOLUTIONS)
def test_parameters(depth: int) -> None:
    """9 i o + o for a convolution with bias, 2 o for its batch norm."""
    total, inputs = 0, 3
    for outputs in CONVOLUTIONS[depth]:
        total += 9 * inputs * outputs + outputs + 2 * outputs
        inputs = outputs
    model = vgg(classes=100, channels=3, height=32, width=32, depth=depth)
    assert sum(p.numel() for p in model.parameters()) == total + inputs * 100 + 100


@pytest.mark.parametrize("side, poolings", [(8, 2), (16, 3), (32, 3), (63, 3), (64, 4)])
def test_poolings(side: int, poolings: int) -> None:
    model = vgg(classes=2, channels=3, height=side, width=side + 1, base=4)
    assert sum(isinstance(module, nn.MaxPool2d) for module in model.modules()) == poolings


def test_names_of_published_checkpoints() -> None:
    names = set(vgg(classes=2, channels=3, height=32, width=32, depth=13, base=4).state_dict())
    assert {"block0.0.bias", "block0.3.weight", "block4.4.running_mean", "classifier.bias"} <= names


def test_wrong_depth() -> None:
    with pytest.raises(ValueError, match="16"):
        vgg(classes=2, channels=3, height=32, width=32, depth=16)

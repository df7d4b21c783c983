"""Grouped 1x1 convolutions: parameters by hand, names of the published checkpoints."""

from __future__ import annotations

import pytest

from edgekd.learn.models.shufflenetv1 import shufflenetv1


@pytest.mark.parametrize("base, groups", [(240, 3), (144, 2), (48, 1)])
def test_parameters(base: int, groups: int) -> None:
    """A first block makes only the channels that its input, set beside it, does not bring."""
    total, inputs = 3 * 24 + 2 * 24, 24
    for outputs, blocks in ((base, 4), (2 * base, 8), (4 * base, 4)):
        for block in range(blocks):
            made = outputs - inputs if block == 0 else outputs
            inside = made // 4
            total += inputs * inside // (1 if inputs == 24 else groups)
            total += 9 * inside + inside * made // groups + 4 * inside + 2 * made
            inputs = outputs
    model = shufflenetv1(classes=100, channels=3, height=32, width=32, base=base, groups=groups)
    assert sum(parameter.numel() for parameter in model.parameters()) == total + inputs * 100 + 100


def test_names_of_published_checkpoints() -> None:
    names = set(shufflenetv1(classes=2, channels=3, height=32, width=32).state_dict())
    assert {"conv1.weight", "bn1.bias", "layer1.0.conv1.weight", "linear.bias"} <= names
    assert {"layer2.7.bn3.running_var", "layer3.3.conv3.weight"} <= names


@pytest.mark.parametrize("base, groups", [(24, 3), (245, 3), (240, 4)])
def test_channels_that_cannot_be_dealt_out(base: int, groups: int) -> None:
    with pytest.raises(ValueError, match="groups"):
        shufflenetv1(classes=2, channels=3, height=32, width=32, base=base, groups=groups)

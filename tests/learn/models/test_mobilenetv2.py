"""Inverted residuals: parameters by hand, names of the published checkpoints."""

from __future__ import annotations

import pytest

from edgekd.learn.models.mobilenetv2 import mobilenetv2

# Sandler et al. 2018, table 2: expansion, channels, blocks.
TABLE = [(1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)]


@pytest.mark.parametrize("multiplier", [0.5, 1.0])
def test_parameters(multiplier: float) -> None:
    inputs = int(32 * multiplier)
    total = 9 * 3 * inputs + 2 * inputs
    for expand, units, count in TABLE:
        for _ in range(count):
            inside, outputs = inputs * expand, int(units * multiplier)
            total += inputs * inside + 9 * inside + inside * outputs + 4 * inside + 2 * outputs
            inputs = outputs
    total += inputs * 1280 + 2 * 1280 + 1280 * 100 + 100
    model = mobilenetv2(classes=100, channels=3, height=32, width=32, multiplier=multiplier)
    assert sum(parameter.numel() for parameter in model.parameters()) == total


def test_shortcuts_stand_where_shapes_allow() -> None:
    model = mobilenetv2(classes=2, channels=3, height=32, width=32)
    residual = [block.residual for stage in model.blocks for block in stage]
    # One block less than each stage has, and none at the first, whose channels change.
    assert sum(residual) == sum(count - 1 for _, _, count in TABLE)


def test_names_of_published_checkpoints() -> None:
    names = set(mobilenetv2(classes=2, channels=3, height=32, width=32).state_dict())
    assert {"conv1.0.weight", "conv1.1.bias", "blocks.6.0.conv.7.weight"} <= names
    assert {"blocks.1.1.conv.3.weight", "conv2.0.weight", "classifier.0.bias"} <= names


def test_too_narrow() -> None:
    with pytest.raises(ValueError, match="1/16"):
        mobilenetv2(classes=2, channels=3, height=32, width=32, multiplier=0.05)

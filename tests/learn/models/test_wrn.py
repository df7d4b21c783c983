"""Wide residual networks: parameters by hand, pre-activation, names of the published checkpoints."""

from __future__ import annotations

import pytest
import torch

from edgekd.learn.models.wrn import wrn


@pytest.mark.parametrize("depth, widen, base", [(16, 1, 16), (16, 2, 16), (40, 2, 16), (10, 4, 8)])
def test_parameters(depth: int, widen: int, base: int) -> None:
    total, inputs = 9 * 3 * base, base
    for outputs in (widen * base, 2 * widen * base, 4 * widen * base):
        for _ in range((depth - 4) // 6):
            total += 2 * inputs + 9 * inputs * outputs + 2 * outputs + 9 * outputs * outputs
            total += inputs * outputs if inputs != outputs else 0
            inputs = outputs
    total += 2 * inputs + inputs * 100 + 100
    model = wrn(classes=100, channels=3, height=32, width=32, depth=depth, widen=widen, base=base)
    assert sum(parameter.numel() for parameter in model.parameters()) == total


def test_names_of_published_checkpoints() -> None:
    names = set(wrn(classes=2, channels=3, height=32, width=32, depth=10, widen=1).state_dict())
    assert {"conv1.weight", "bn1.weight", "fc.bias", "block3.layer.0.convShortcut.weight"} <= names
    assert {"block1.layer.0.bn2.running_var", "block2.layer.0.conv2.weight"} <= names
    assert "block1.layer.0.convShortcut.weight" not in names


def test_a_block_whose_convolutions_are_zero_passes_everything() -> None:
    block = wrn(classes=2, channels=3, height=8, width=8, depth=10, widen=1).block1.layer[0].eval()
    torch.nn.init.zeros_(block.conv2.weight)
    features = torch.randn(2, 16, 4, 4)
    assert torch.equal(block(features), features)


@pytest.mark.parametrize("depth", [1, 4, 17])
def test_wrong_depth(depth: int) -> None:
    with pytest.raises(ValueError, match="6 n"):
        wrn(classes=2, channels=3, height=8, width=8, depth=depth)

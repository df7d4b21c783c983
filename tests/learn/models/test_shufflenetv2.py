"""Split and shuffled channels: parameters by hand, what passes, names of published checkpoints."""

from __future__ import annotations

import pytest
import torch

from edgekd.learn.models.shufflenetv2 import shufflenetv2


@pytest.mark.parametrize("base, head", [(116, 1024), (48, 512)])
def test_parameters(base: int, head: int) -> None:
    total, inputs = 3 * 24 + 2 * 24, 24
    for outputs, blocks in ((base, 3), (2 * base, 7), (4 * base, 3)):
        half = outputs // 2
        total += 9 * inputs + 2 * inputs + inputs * half + 2 * half
        total += inputs * half + 2 * half + 9 * half + 2 * half + half * half + 2 * half
        total += blocks * (2 * half * half + 9 * half + 6 * half)
        inputs = outputs
    total += inputs * head + 2 * head + head * 100 + 100
    model = shufflenetv2(classes=100, channels=3, height=32, width=32, base=base, head=head)
    assert sum(parameter.numel() for parameter in model.parameters()) == total


def test_half_of_the_channels_pass_and_lie_at_even_places() -> None:
    block = shufflenetv2(classes=2, channels=3, height=8, width=8, base=8).layer1[1].eval()
    features = torch.randn(2, 8, 4, 4)
    assert torch.equal(block(features)[:, ::2], features[:, :4])


def test_names_of_published_checkpoints() -> None:
    names = set(shufflenetv2(classes=2, channels=3, height=32, width=32).state_dict())
    assert {"conv2.weight", "bn2.bias", "layer1.0.conv5.weight", "linear.bias"} <= names
    assert {"layer2.7.bn3.running_var", "layer3.3.conv3.weight"} <= names


def test_odd_channels() -> None:
    with pytest.raises(ValueError, match="even"):
        shufflenetv2(classes=2, channels=3, height=32, width=32, base=7)

"""Residual networks: parameters by hand, names of the published checkpoints."""

from __future__ import annotations

import pytest
import torch

from edgekd.learn.models.resnet import resnet


def by_hand(depth: int, stem: int, base: int, classes: int, channels: int) -> int:
    """9 i o for a 3x3 convolution, 2 c for a batch norm, i o + 2 o for a shortcut's projection."""
    total = 9 * channels * stem + 2 * stem
    inputs = stem
    for stage, outputs in enumerate((base, 2 * base, 4 * base)):
        for block in range((depth - 2) // 6):
            total += 9 * inputs * outputs + 9 * outputs * outputs + 4 * outputs
            if block == 0 and (stage > 0 or inputs != outputs):
                total += inputs * outputs + 2 * outputs
            inputs = outputs
    return total + inputs * classes + classes


@pytest.mark.parametrize("depth, stem, base", [(8, 16, 16), (20, 16, 16), (8, 32, 64), (14, 4, 4)])
@pytest.mark.parametrize("classes, channels", [(100, 3), (10, 1)])
def test_parameters(depth: int, stem: int, base: int, classes: int, channels: int) -> None:
    model = resnet(
        classes=classes, channels=channels, height=32, width=32, depth=depth, base=base, stem=stem
    )
    got = sum(parameter.numel() for parameter in model.parameters())
    assert got == by_hand(depth, stem, base, classes, channels)


def test_names_of_published_checkpoints() -> None:
    names = set(resnet(classes=2, channels=3, height=32, width=32, depth=8).state_dict())
    block = {"conv1.weight", "conv2.weight"} | {
        f"bn{n}.{part}"
        for n in (1, 2)
        for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }
    projection = {"downsample.0.weight"} | {
        f"downsample.1.{part}"
        for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }
    want = {"conv1.weight", "fc.weight", "fc.bias"} | {n for n in block if n.startswith("bn1")}
    want |= {f"layer{i}.0.{name}" for i in (1, 2, 3) for name in block}
    want |= {f"layer{i}.0.{name}" for i in (2, 3) for name in projection}
    assert names == want


def test_a_block_whose_convolutions_are_zero_passes_what_is_positive() -> None:
    model = resnet(classes=2, channels=3, height=8, width=8, depth=8)
    block = model.layer1[0].eval()
    torch.nn.init.zeros_(block.conv2.weight)
    features = torch.randn(2, 16, 4, 4)
    assert torch.equal(block(features), features.relu())


@pytest.mark.parametrize("depth", [1, 2, 9, 21])
def test_wrong_depth(depth: int) -> None:
    with pytest.raises(ValueError, match="6 n"):
        resnet(classes=2, channels=3, height=8, width=8, depth=depth)

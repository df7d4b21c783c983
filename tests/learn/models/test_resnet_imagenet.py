"""Residual networks for photographs: sizes as torchvision publishes them, names of its checkpoints."""

from __future__ import annotations

import pytest
import torch

from edgekd.learn.models.resnet_imagenet import resnet_imagenet


# https://pytorch.org/vision/stable/models.html, num_params.
@pytest.mark.parametrize(
    ("depth", "parameters"), [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032)]
)
def test_parameters_are_those_published(depth: int, parameters: int) -> None:
    with torch.device("meta"):
        model = resnet_imagenet(classes=1000, channels=3, height=224, width=224, depth=depth)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_names_of_published_checkpoints_and_sides() -> None:
    model = resnet_imagenet(classes=5, channels=3, height=64, width=64).eval()
    names = set(model.state_dict())
    assert {"conv1.weight", "bn1.running_var", "layer1.1.conv2.weight", "fc.bias"} <= names
    assert {"layer2.0.downsample.0.weight", "layer4.0.downsample.1.bias"} <= names
    assert not any(name.startswith("layer1.0.downsample") for name in names)
    shapes: list[torch.Size] = []
    model.avgpool.register_forward_pre_hook(lambda _, given: shapes.append(given[0].shape))
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 5)
    assert shapes == [(2, 512, 2, 2)]


def test_another_depth_is_refused() -> None:
    with pytest.raises(ValueError, match="depth: got 20, want one of 18, 34, 50, 101"):
        resnet_imagenet(classes=5, channels=3, height=64, width=64, depth=20)

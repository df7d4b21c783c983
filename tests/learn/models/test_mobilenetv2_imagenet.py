"""Inverted residuals for photographs: the names and shapes of torchvision's checkpoint, the strides of the paper."""

from __future__ import annotations

import hashlib

import pytest
import torch
from torch import nn

from edgekd.learn.models.mobilenetv2_imagenet import mobilenetv2_imagenet

NAMES_DIGEST = "a18c560d82f6d01d86ac3a49fdcaf1d06cc7979ce4e8c8c176d05b805eaf9ef9"
"""Of the lines ``name shape`` of torchvision's mobilenet_v2-b0353104.pth, in the file's order."""


def build(side: int = 224, **words: float) -> nn.Module:
    return mobilenetv2_imagenet(classes=1000, channels=3, height=side, width=side, **words)


def test_names_and_shapes_are_those_of_the_published_checkpoint() -> None:
    state = build().state_dict()
    lines = "\n".join(f"{name} {list(tensor.shape)}" for name, tensor in state.items())
    assert hashlib.sha256(lines.encode()).hexdigest() == NAMES_DIGEST


def test_sides_are_halved_five_times() -> None:
    shapes: list[torch.Size] = []
    model = build(96, multiplier=0.35).eval()
    model.pool.register_forward_pre_hook(lambda _, given: shapes.append(given[0].shape))
    model(torch.zeros(2, 3, 96, 96))
    assert shapes == [(2, 1280, 3, 3)]


# Sandler et al. 2018, table 4 (1.0) and the official checkpoints (0.35, 1.4), in millions.
@pytest.mark.parametrize(("multiplier", "millions"), [(0.35, 1.66), (1.0, 3.47), (1.4, 6.06)])
def test_parameters_are_those_published(multiplier: float, millions: float) -> None:
    found = sum(p.numel() for p in build(multiplier=multiplier).parameters()) / 1e6
    assert found == pytest.approx(millions, rel=0.02)

"""What the small-image networks share."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from edgekd.learn.model import Sides
from edgekd.learn.model import conv3x3
from edgekd.learn.model import initialise
from edgekd.learn.model import shuffle


def test_a_halving_that_leaves_one_pixel_is_left_out() -> None:
    sides = Sides(7, 100)
    assert [sides.stride(2), sides.stride(1), sides.stride(2), sides.stride(2)] == [2, 1, 2, 1]
    assert sides.shorter == 2


def test_a_pooling_rounds_down() -> None:
    sides = Sides(7, 7)
    assert isinstance(sides.pool(), nn.MaxPool2d) and sides.shorter == 3
    assert isinstance(sides.pool(), nn.Identity) and sides.shorter == 3


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_shuffle_is_torchs(groups: int) -> None:
    features = torch.randn(2, 12, 3, 5)
    assert torch.equal(shuffle(features, groups), torch.channel_shuffle(features, groups))


def test_shuffle_by_hand() -> None:
    features = torch.arange(6.0).reshape(1, 6, 1, 1)
    assert shuffle(features, 2).flatten().tolist() == [0, 3, 1, 4, 2, 5]


def test_initialise_by_fan_out() -> None:
    torch.manual_seed(0)
    layer = conv3x3(64, 128)
    initialise(nn.Sequential(layer, nn.BatchNorm2d(128)))
    want = math.sqrt(2 / (9 * 128))  # He et al. 2015, eq. 14
    assert layer.weight.std().item() == pytest.approx(want, rel=0.02)

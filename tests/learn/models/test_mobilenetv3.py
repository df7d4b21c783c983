"""Squeeze-and-excite and hard-swish: parameters as published, shortcuts, where each activation stands."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekd.learn.complexity import count_parameters
from edgekd.learn.models.mobilenetv3 import mobilenetv3

IMAGE = {"channels": 3, "height": 32, "width": 32}

# torchvision's model card of MobileNet_V3_Small_Weights.IMAGENET1K_V1: 1,000 classes, multiplier 1.
PUBLISHED = 2_542_856

# Channels at multiplier 0.5, rounded by hand to multiples of 8 that keep nine tenths:
# kernel, inside (36 -> 40, 44 -> 48, 48, 120, 60 -> 64, 72, 144, 288), outputs (12 -> 16, 20 -> 24), excite.
HALF = [
    (3, 8, 8, True),
    (3, 40, 16, False),
    (3, 48, 16, False),
    (5, 48, 24, True),
    (5, 120, 24, True),
    (5, 120, 24, True),
    (5, 64, 24, True),
    (5, 72, 24, True),
    (5, 144, 48, True),
    (5, 288, 48, True),
    (5, 288, 48, True),
]
SQUEEZED = {8: 8, 48: 16, 120: 32, 64: 16, 72: 24, 144: 40, 288: 72}
"""A quarter, rounded in the same way: 12 -> 16, 30 -> 32, 18 -> 24 (16 is under nine tenths), 36 -> 40."""


def test_published_parameters() -> None:
    assert count_parameters(mobilenetv3(classes=1000, **IMAGE, multiplier=1.0)) == PUBLISHED


@pytest.mark.parametrize("head, classes", [(1024, 100), (256, 10)])
def test_parameters_at_half_width(head: int, classes: int) -> None:
    total, inputs = 9 * 3 * 8 + 2 * 8, 8
    for kernel, inside, outputs, excite in HALF:
        total += inputs * inside + 2 * inside if inside != inputs else 0
        total += kernel**2 * inside + 2 * inside + inside * outputs + 2 * outputs
        if excite:
            squeezed = SQUEEZED[inside]
            total += 2 * inside * squeezed + inside + squeezed
        inputs = outputs
    total += 48 * 288 + 2 * 288 + 288 * head + head + head * classes + classes
    assert count_parameters(mobilenetv3(classes=classes, **IMAGE, head=head)) == total


def test_where_the_published_net_has_what() -> None:
    blocks = mobilenetv3(classes=2, **IMAGE, multiplier=1.0).blocks
    kinds = [{type(module).__name__ for module in block.modules()} for block in blocks]
    assert ["Hardsigmoid" in kind for kind in kinds] == [True, False, False, *[True] * 8]
    assert ["Hardswish" in kind for kind in kinds] == [False] * 3 + [True] * 8
    # Table 2: only these keep both the side and the channels; the first does since its stride is 1 here.
    assert [i for i, block in enumerate(blocks) if block.residual] == [0, 2, 4, 5, 7, 9, 10]


def test_a_gate_multiplies_its_channels() -> None:
    torch.manual_seed(0)
    excite = mobilenetv3(classes=2, **IMAGE).blocks[0].conv[3]
    features = torch.randn(2, 8, 5, 5)
    got = excite(features)
    with torch.no_grad():
        means = features.mean((2, 3))
        squeezed = torch.relu(nn.functional.linear(means, excite.reduce.weight[:, :, 0, 0]))
        gates = nn.functional.linear(squeezed, excite.expand.weight[:, :, 0, 0])
        want = features * ((gates + 3).clamp(0, 6) / 6)[:, :, None, None]  # Howard et al., eq. 2
    torch.testing.assert_close(got, want)


def test_a_small_one_for_small_images() -> None:
    model = mobilenetv3(classes=10, channels=1, height=28, width=28, multiplier=0.35, head=256)
    assert 100_000 < count_parameters(model) < 400_000

"""Which layers may be split, and why the others are left alone."""

from __future__ import annotations

import torch
from torch import Tensor
from torch import nn

from edgekd.learn import blueprint
from edgekd.learn.lowrank import layers
from tests.learn.blueprint_example import image_blueprint


class Odd(nn.Module):
    """A layer of every kind that is left alone, and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(64, 64, 3, padding=1)
        self.plain = nn.Conv2d(64, 80, 3, padding=1)
        self.grouped = nn.Conv2d(80, 80, 3, padding=1, groups=2)
        self.depthwise = nn.Conv2d(80, 80, 3, padding=1, groups=80)
        self.mirrored = nn.Conv2d(80, 80, 3, padding=1, padding_mode="reflect")
        self.twice = nn.Conv2d(80, 80, 1)
        self.up = nn.ConvTranspose2d(80, 80, 1)
        self.tied, self.knot = nn.Linear(80, 80), nn.Linear(80, 80)
        self.knot.weight = self.tied.weight
        self.unused = nn.Linear(80, 80)
        self.narrow = nn.Linear(80, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.mirrored(self.depthwise(self.grouped(self.plain(self.first(x)))))
        x = self.up(self.twice(self.twice(x))).mean((2, 3))
        return self.narrow(self.knot(self.tied(x)))


def test_each_layer_says_why() -> None:
    found = layers.find_layers(Odd().train(), torch.zeros(1, 64, 5, 6))
    said = {site.path: site.reason for site in found}
    wants = {
        "first": "the first convolution",
        "plain": "",
        "grouped": "2 groups",
        "depthwise": "depthwise",
        "mirrored": "reflect",
        "twice": "called 2 times",
        "up": "ConvTranspose2d",
        "tied": "shares its weight",
        "knot": "shares its weight",
        "unused": "called 0 times",
        "narrow": "80 channels in and 10 out, want at least 64",
    }
    assert set(said) == set(wants)
    for path, want in wants.items():
        assert (want in said[path]) if want else not said[path], (path, said[path])
    shapes = {site.path: site.shape for site in found}
    assert shapes["plain"] == (64, 5, 6) and shapes["narrow"] == (80,)


def test_a_mobilenet_leaves_little() -> None:
    plan = image_blueprint(
        builder="mobilenetv2", arguments={}, classes=10, channels=1, height=28, width=28
    )
    found = layers.find_layers(blueprint.build(plan), torch.zeros(1, 1, 28, 28))
    spatial = [s for s in found if s.part is None or s.part.taps > 1]
    assert spatial and all(s.reason in ("depthwise",) or "first" in s.reason for s in spatial)
    assert {s.part.kernel for s in found if not s.reason and s.part} <= {(1, 1), None}

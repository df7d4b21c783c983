"""Which parts of a network are gathered at a time."""

from __future__ import annotations

import pytest
from torch import nn

from edgekd.learn.models.resnet import resnet
from edgekd.learn.models.vgg import vgg
from edgekd.learn.models.vit import vit
from edgekd.learn.parallel.blocks import find_blocks

SHAPE = {"classes": 4, "channels": 1, "height": 8, "width": 8}


class Pair(nn.Module):
    """Two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)


class Stage(nn.Module):
    """Several pairs."""

    def __init__(self, pairs: int) -> None:
        super().__init__()
        self.pairs = nn.ModuleList(Pair() for _ in range(pairs))


def names_of(network: nn.Module) -> list[str]:
    names = {module: name for name, module in network.named_modules()}
    return [names[block] for block in find_blocks(network)]


def test_layers_of_a_transformer_and_blocks_of_a_residual_network() -> None:
    assert names_of(vit(**SHAPE, dim=24, depth=3, heads=2)) == ["layers.0", "layers.1", "layers.2"]
    assert [name[:6] for name in names_of(resnet(**SHAPE, depth=14, base=4))] == [
        f"layer{stage}" for stage in (1, 1, 2, 2, 3, 3)
    ]


def test_without_blocks_large_layers_are_parts() -> None:
    network = vgg(**SHAPE, depth=8, base=8)
    assert len(names_of(network)) >= 3
    assert all(type(block) in (nn.Conv2d, nn.Linear) for block in find_blocks(network))


@pytest.mark.parametrize(("pairs", "expected"), [(2, "stages.0"), (20, "stages.0.pairs.0")])
def test_a_large_stage_is_taken_apart(pairs: int, expected: str) -> None:
    network = nn.Module()
    network.stages = nn.ModuleList([Stage(pairs), *(Stage(2) for _ in range(20))])
    assert names_of(network)[0] == expected


def test_what_is_tied_is_no_part() -> None:
    network = nn.ModuleDict(
        {"table": nn.Embedding(90, 8), "pairs": nn.ModuleList(Pair() for _ in range(3))}
    )
    assert names_of(network) == ["table", "pairs.0", "pairs.1", "pairs.2"]
    network["head"] = nn.Linear(8, 90)
    network["head"].weight = network["table"].weight
    network["pairs"][1].second.weight = network["pairs"][0].first.weight
    assert names_of(network) == ["pairs.0.second", "pairs.1.first", "pairs.2"]

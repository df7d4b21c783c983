"""Which channels hang together, of networks whose plan is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.blueprint import build
from edgekd.learn.pruning.groups import ChannelGroup
from edgekd.learn.pruning.trial import find_fault
from edgekd.learn.pruning.trial import sound_groups
from tests.learn.blueprint_example import image_blueprint

IMAGES = torch.zeros(2, 1, 8, 8)


def groups_of(name: str, **arguments: float) -> tuple[dict[str, ChannelGroup], dict[str, str]]:
    """By the first of the paths of those that make the channels, in alphabetical order."""
    plan = image_blueprint(
        builder=name, arguments=arguments, classes=3, channels=1, height=8, width=8
    )
    found, left = sound_groups(build(plan), IMAGES)
    return {min(m.path for m in group.members if m.side == "out"): group for group in found}, left


def sides(group: ChannelGroup, side: str) -> set[str]:
    return {member.path for member in group.members if member.side == side}


def test_a_resnet_couples_what_it_adds() -> None:
    groups, left = groups_of("resnet8")
    inner = {f"layer{n}.0.conv1": 16 * 2 ** (n - 1) for n in (1, 2, 3)}
    added = {"conv1": 16, "layer2.0.conv2": 32, "layer3.0.conv2": 64}
    assert {path: group.width for path, group in groups.items()} == inner | added
    assert sides(groups["layer2.0.conv2"], "out") == {"layer2.0.conv2", "layer2.0.downsample.0"}
    want = {"layer3.0.conv1", "layer3.0.downsample.0"}
    assert sides(groups["layer2.0.conv2"], "in") == want
    assert sides(groups["layer2.0.conv2"], "both") == {"layer2.0.bn2", "layer2.0.downsample.1"}
    assert set(left) == {"fc"}


def test_a_depthwise_convolution_goes_with_what_it_filters() -> None:
    groups, left = groups_of("mobilenetv2", multiplier=0.25, head=64)
    group = groups["blocks.1.0.conv.0"]
    assert sides(group, "out") == {"blocks.1.0.conv.0"} and group.width == 6 * 4
    assert sides(group, "both") == {f"blocks.1.0.conv.{n}" for n in (1, 3, 4)}
    assert sides(group, "in") == {"blocks.1.0.conv.6"}
    shortcut = sides(groups["blocks.2.0.conv.6"], "out")
    assert shortcut == {f"blocks.2.{n}.conv.6" for n in range(3)}
    assert set(left) == {"classifier.0"}


def test_plain_convolutions_stand_alone() -> None:
    groups, left = groups_of("vgg8")
    assert sorted(group.width for group in groups.values()) == [64, 128, 256, 512, 512]
    assert all(
        len(sides(group, "out")) == len(sides(group, "in")) == 1 for group in groups.values()
    )
    assert len(left) == 1


def test_a_transformer_gives_the_inside_of_its_layers_alone() -> None:
    groups, left = groups_of("vit-tiny", dim=12, depth=2)
    assert set(groups) == {"layers.0.mlp.0", "layers.1.mlp.0"}
    assert any("not understood" in reason for reason in left.values())  # attention


class Shuffled(nn.Module):
    """Its channels change places between two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 8, 1), nn.Conv2d(8, 4, 1)
        self.out = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.two(torch.relu(self.one(x)).flip(1))).mean((2, 3)))


class Flattened(nn.Module):
    """Each channel becomes four features."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.out = nn.Conv2d(1, 4, 4, 4), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.relu(self.one(x)).flatten(1))


def test_what_the_graph_does_not_see_is_found_by_trial() -> None:
    groups, left = sound_groups(Shuffled(), IMAGES)
    assert [group.name for group in groups] == ["two"]
    assert "not understood" in left["one"]


def test_a_flattened_channel_is_several_features() -> None:
    (group,), _ = sound_groups(Flattened(), IMAGES)
    (reader,) = group.readers()
    assert reader.channels == tuple(tuple(range(4 * c, 4 * c + 4)) for c in range(4))
    wrong = reader._replace(channels=tuple(tuple(range(c, 16, 4)) for c in range(4)))
    mixed = group._replace(members=(wrong, *(m for m in group.members if m.side != "in")))
    x = torch.randn(IMAGES.shape, dtype=torch.float64)
    assert "not understood" in find_fault(Flattened().double().eval(), mixed, x)


class Auxiliary(nn.Module):
    """Gives logits of its first layer, too, while it is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 3)
        self.out, self.aside = nn.Linear(8, 3), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        first = torch.relu(self.one(x))
        logits: Tensor = self.out(torch.relu(self.two(first)).mean((2, 3)))
        return (logits, self.aside(first.mean((2, 3)))) if self.training else logits


def test_what_auxiliary_logits_are_made_of_stays() -> None:
    groups, left = sound_groups(Auxiliary(), IMAGES)
    assert [group.name for group in groups] == ["two"]
    assert "serves training alone" in left["one"]


def test_a_graph_that_cannot_be_followed_leaves_all_alone() -> None:
    groups, left = groups_of("shufflenetv2")
    assert not groups and "cannot follow" in left["model"]


def test_nothing_is_changed_and_torchs_generator_stays() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    one, two = sound_groups(model, IMAGES), sound_groups(model, IMAGES)
    assert one == two and torch.equal(state, torch.get_rng_state()) and model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("missing", ["torch_pruning"])
def test_without_the_package(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from edgekd.errors import MachineError

    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MachineError, match="not installed"):
        sound_groups(Flattened(), IMAGES)


class TwoHeads(nn.Module):
    """Two outputs of one trunk."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.inner = nn.Conv2d(8, 6, 3)
        self.classes, self.numbers = nn.Linear(6, 5), nn.Linear(6, 2)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.inner(self.conv(images).relu()).relu().mean((2, 3))
        return self.classes(found), self.numbers(found)


def test_all_outputs_are_compared_and_none_is_pruned() -> None:
    groups, left = sound_groups(TwoHeads(), torch.zeros(2, 3, 8, 8))
    assert {group.name for group in groups} == {"conv", "inner"}
    assert left == dict.fromkeys(("classes", "numbers"), "no layer reads its channels")

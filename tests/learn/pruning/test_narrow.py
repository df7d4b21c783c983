"""A network without some channels answers as the whole one that does not read them; so does its replay."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgekd.learn import blueprint
from edgekd.learn.pruning import narrow
from edgekd.learn.pruning.groups import Kept
from edgekd.learn.pruning.trial import redraw_weights
from edgekd.learn.pruning.trial import sound_groups
from tests.learn.blueprint_example import image_blueprint

NETS: dict[str, dict[str, float]] = {
    "resnet8": {},
    "mobilenetv2": {"multiplier": 0.25, "head": 64},
    "vgg8": {},
}


@pytest.mark.parametrize("name", NETS)
def test_replay_gives_the_same_answers(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    size = {"classes": 3, "channels": 1, "height": 8, "width": 8}
    plan = image_blueprint(builder=name, arguments=NETS[name], **size)
    model = redraw_weights(blueprint.build(plan))
    images = torch.randn(3, 1, 8, 8)
    groups, _ = sound_groups(model, images)
    random = np.random.default_rng(0)
    kept: Kept = {}
    for group in groups:
        stays = random.permutation(group.width)[: random.integers(1, group.width + 1)]
        kept[group.name] = tuple(sorted(stays.tolist()))
    pruned = narrow.prune_channels(model, groups, kept, images)

    # Oracle: the whole network, in which whoever reads a channel that goes reads it with weight 0.
    deaf = copy.deepcopy(model)
    with torch.no_grad():
        for group in groups:
            for member in group.readers():
                for channel, own in enumerate(member.channels):
                    if channel not in kept[group.name]:
                        deaf.get_submodule(member.path).weight[:, list(own)] = 0
        want = deaf(images)
        got = pruned(images)
    torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-3 * float(want.abs().max()))

    edit = narrow.build_edit(model, groups, kept)
    saved = blueprint.save(pruned, plan.model_copy(update={"edits": (edit,)}), tmp_path)
    again = blueprint.load(saved["blueprint.json"], saved["weights.safetensors"])
    with torch.no_grad():
        assert torch.equal(again(images), got)
    assert sum(p.numel() for p in again.parameters()) < sum(p.numel() for p in model.parameters())


def test_nothing_gone_is_a_copy() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    images = torch.randn(2, 1, 8, 8)
    groups, _ = sound_groups(model, images)
    whole = {group.name: tuple(range(group.width)) for group in groups}
    for kept in ({}, whole):
        same = narrow.prune_channels(model, groups, kept, images)
        assert same is not model and torch.equal(same(images), model(images))
        assert narrow.build_edit(model, groups, kept)["layers"] == []

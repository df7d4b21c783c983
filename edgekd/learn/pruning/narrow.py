"""A network without some of its channels: the edit that says so, and the weights that stay."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.edits import prune
from edgekd.learn.pruning.groups import ChannelGroup
from edgekd.learn.pruning.groups import Kept
from edgekd.learn.pruning.groups import is_depthwise

Gone = dict[str, tuple[set[int], set[int]]]
"""Module path to what it loses of its inputs and of its outputs."""


def find_removed(groups: Sequence[ChannelGroup], kept: Kept) -> Gone:
    """Return the channels that each layer loses."""
    lost: Gone = {}
    for group in groups:
        stays = set(kept.get(group.name, range(group.width)))
        for member in group.members if len(stays) < group.width else ():
            inputs, outputs = lost.setdefault(member.path, (set(), set()))
            removed = {i for c, own in enumerate(member.channels) if c not in stays for i in own}
            if member.side != "out":
                inputs |= removed
            if member.side != "in":
                outputs |= removed
    return lost


def build_edit(model: nn.Module, groups: Sequence[ChannelGroup], kept: Kept) -> dict[str, Any]:
    """Build the edit that `edgekd.learn.edits.prune` replays, of a model that has all its channels."""
    layers = []
    lost = find_removed(groups, kept)
    for path, layer in model.named_modules():
        if path not in lost:
            continue
        inputs, outputs = lost[path]
        wide = read_widths(layer)
        taken, given = wide[0] - len(inputs), wide[1] - len(outputs)
        depthwise = isinstance(layer, nn.Conv2d) and is_depthwise(layer)
        count = given if depthwise else 1
        layers.append({"path": path, "inputs": taken, "outputs": given, "groups": count})
    return {"name": "prune", "layers": layers}


def prune_channels(
    model: nn.Module, groups: Sequence[ChannelGroup], kept: Kept, *inputs: Tensor
) -> nn.Module:
    """Copy `model` without the channels that are not kept, in evaluation mode.

    Args:
        model: has all its channels; not changed.
        groups: of it.
        kept: which channels stay.
        inputs: what the model takes.

    Raises:
        ValueError: if a layer cannot be built so narrow.
    """
    lost = find_removed(groups, kept)
    other = copy.deepcopy(model)
    if not lost:
        return other.eval()
    said = {"layers": build_edit(model, groups, kept)["layers"]}
    with torch.random.fork_rng(devices=[]):
        other = prune.apply(other, said, *inputs)
    for path, sides in lost.items():
        old, new = model.get_submodule(path), other.get_submodule(path)
        stays = [
            torch.tensor([i for i in range(width) if i not in removed])
            for width, removed in zip(read_widths(old), sides, strict=True)
        ]
        new.to(next(old.parameters())).load_state_dict(_sliced(old, *stays))
    return other.eval()


def read_widths(layer: nn.Module) -> tuple[int, int]:
    """Return the channels or features in and out of a `Conv2d`, `Linear` or `BatchNorm2d`."""
    if isinstance(layer, nn.Conv2d):
        return layer.in_channels, layer.out_channels
    if isinstance(layer, nn.Linear):
        return layer.in_features, layer.out_features
    assert isinstance(layer, nn.BatchNorm2d)
    return layer.num_features, layer.num_features


def _sliced(layer: nn.Module, inputs: Tensor, outputs: Tensor) -> dict[str, Tensor]:
    """The layer's state for these of its inputs and outputs."""
    state = {}
    for name, tensor in layer.state_dict().items():
        if tensor.ndim:
            tensor = tensor[outputs.to(tensor.device)]
        if tensor.ndim > 1 and tensor.shape[1] == read_widths(layer)[0]:  # not of a depthwise one
            tensor = tensor[:, inputs.to(tensor.device)]
        state[name] = tensor
    return state

"""Groups are tried before they are believed: a network without some of a group's channels must answer
as the whole one does when nobody reads those channels.

So what the dependency graph did not understand (a shuffle, attention, the logits themselves) is left
alone. It is tried on random weights: whether channels hang together does not depend on the weights,
but is only seen where they matter.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.forward_pass import as_tuple
from edgekd.learn.pruning import narrow
from edgekd.learn.pruning.groups import ChannelGroup
from edgekd.learn.pruning.groups import find_groups

TOLERANCE = 1e-9
"""Of the largest logit, in float64."""


def sound_groups(model: nn.Module, *inputs: Tensor) -> tuple[list[ChannelGroup], dict[str, str]]:
    """The groups that can be pruned, and the others by name with the reason.

    Args:
        model: is not changed.
        inputs: what it takes, each [B, ...]; of real numbers the shape alone counts.

    Raises:
        MachineError: if torch-pruning is not installed.
    """
    groups: list[ChannelGroup] = []
    left: dict[str, str] = {}
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        trial = redraw_weights(model)
        exact = copy.deepcopy(trial).double()
        wide = [_drawn(each) for each in inputs]
        narrow_ones = [each.float() if each.is_floating_point() else each for each in wide]
        for name, group in find_groups(trial, *narrow_ones):
            reason = group if isinstance(group, str) else find_fault(exact, group, *wide)
            if isinstance(group, ChannelGroup) and not reason:
                groups.append(group)
            else:
                left[name] = str(reason)
    return groups, left


def _drawn(like: Tensor) -> Tensor:
    return torch.randn(like.shape, dtype=torch.float64) if like.is_floating_point() else like


def redraw_weights(model: nn.Module) -> nn.Module:
    """Copy a model with random weights that let a signal pass at about its own size; evaluation mode."""
    other = copy.deepcopy(model).float().cpu().eval()
    for module in other.modules():
        for name, tensor in _tensors(module):
            with torch.no_grad():
                if name == "running_var" or (name == "weight" and tensor.ndim == 1):
                    tensor.uniform_(0.5, 1.5)
                elif name == "weight":
                    tensor.normal_(std=(2 / max(1, tensor[0].numel())) ** 0.5)
                else:
                    tensor.normal_(std=0.1)
    return other


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from module.named_parameters(recurse=False)
    yield from ((n, t) for n, t in module.named_buffers(recurse=False) if t.is_floating_point())


def find_fault(model: nn.Module, group: ChannelGroup, *inputs: Tensor) -> str:
    """Say why every second channel of `group` cannot be removed; empty if it can.

    Args:
        model: in evaluation mode and float64; not changed.
        group: of it.
        inputs: each [B, ...]; real numbers in float64.
    """
    if group.width < 2:
        return "it has one channel"
    kept = {group.name: tuple(range(0, group.width, 2))}
    deaf = copy.deepcopy(model)
    with torch.no_grad():
        for member in group.readers():
            weight = deaf.get_submodule(member.path).weight
            assert isinstance(weight, Tensor)
            weight[:, [i for channel in member.channels[1::2] for i in channel]] = 0
        try:
            want = as_tuple(deaf(*inputs))
            other = narrow.prune_channels(model, [group], kept, *inputs)
            got = as_tuple(other(*inputs))
        except (RuntimeError, ValueError, IndexError) as error:
            return f"it does not come apart: {(str(error).splitlines() or [''])[0][:100]}"
    if [each.shape for each in got] != [each.shape for each in want]:
        return "it makes the logits"
    if not all(map(_is_same, got, want)):
        return "its channels are mixed in a way that is not understood"
    if not _trains(other, inputs) and _trains(copy.deepcopy(model), inputs):
        return "it is read by what serves training alone, as auxiliary logits are made"
    return ""


def _is_same(got: Tensor, want: Tensor) -> bool:
    return torch.allclose(got, want, rtol=0, atol=TOLERANCE * float(want.abs().max()))


def _trains(model: nn.Module, inputs: tuple[Tensor, ...]) -> bool:
    """Return whether `model`, whose buffers change, takes `inputs` in training mode."""
    try:
        with torch.no_grad():
            model.train()(*inputs)
    except (RuntimeError, ValueError, IndexError):
        return False
    return True

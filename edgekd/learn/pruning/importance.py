"""What each channel is worth: how much the loss would change without it, or how large its weights are."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence

import torch
from torch import Tensor
from torch import nn

from edgekd.errors import InputError
from edgekd.interface import Interface
from edgekd.learn.forward_pass import as_tuple
from edgekd.learn.method.label_loss import label_loss
from edgekd.learn.model_inputs import Inputs
from edgekd.learn.pruning.groups import ChannelGroup
from edgekd.learn.pruning.groups import LayerSide

Worth = dict[str, Tensor]
"""Group name to the worth of each of its channels, float64 [width], not negative."""
Batch = tuple[Inputs, Mapping[str, Tensor]]
"""What a model takes, and its targets by name."""


def by_taylor(
    model: nn.Module, groups: Sequence[ChannelGroup], interface: Interface, batches: Iterable[Batch]
) -> Worth:
    """The mean over batches of (dL / d gate)^2, for a gate of 1 before all that reads the channel.

    Molchanov et al. 2019, arXiv:1906.10771, eq. 8 and sec. 3.1. L is a batch's loss on its
    targets (`label_loss`); the gate's derivative is the sum of weight times gradient over the weights that read it.

    Args:
        model: is copied; its batch norms keep their statistics.
        groups: of it.
        interface: what it takes and gives.
        batches: small ones tell more, for the same images.

    Raises:
        InputError: if a derivative is not finite, or there is no batch.
    """
    model = copy.deepcopy(model).eval()
    total = {group.name: torch.zeros(group.width, dtype=torch.float64) for group in groups}
    count = 0
    for inputs, targets in batches:
        model.zero_grad(set_to_none=True)
        with torch.enable_grad():
            try:
                label_loss(as_tuple(model(*inputs)), targets, interface).backward()
            except ValueError as error:
                raise InputError(f"prune: {error}", hint="importance: magnitude") from error
        for group in groups:
            gate = sum((_gate(model, m) for m in group.readers()), torch.zeros(group.width))
            total[group.name] += gate.double().square()
        count += 1
    if not count or not all(torch.isfinite(worth).all() for worth in total.values()):
        raise InputError(f"prune: got no finite gradients from {count} batches of training images")
    return {name: worth / count for name, worth in total.items()}


def by_magnitude(model: nn.Module, groups: Sequence[ChannelGroup]) -> Worth:
    """The squares of all weights of convolutions and linear layers that go with a channel, over the
    group's mean: what is small for its group goes first."""
    worth = {}
    for group in groups:
        total = torch.zeros(group.width, dtype=torch.float64)
        for member in group.members:
            layer = model.get_submodule(member.path)
            if isinstance(layer, nn.Conv2d | nn.Linear):
                total += _summed(member, layer.weight.detach().double().square())
        worth[group.name] = total / total.mean().clamp_min(1e-300)
    return worth


def _gate(model: nn.Module, member: LayerSide) -> Tensor:
    weight = model.get_submodule(member.path).weight
    assert isinstance(weight, Tensor)
    if weight.grad is None:
        return torch.zeros(len(member.channels))
    return _summed(member, weight.detach() * weight.grad).float()


def _summed(member: LayerSide, values: Tensor) -> Tensor:
    """[width]: `values`, shaped as a weight [O, I, ..], summed over all that goes with a channel."""
    others = [d for d in range(values.ndim) if d != (1 if member.side == "in" else 0)]
    return values.sum(others)[torch.tensor(member.channels)].sum(1).cpu()

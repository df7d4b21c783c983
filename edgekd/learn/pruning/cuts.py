"""In which order channels go: blocks of them, those first whose loss costs least for what it saves."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torch import nn

from edgekd.learn.forward_pass import run_once
from edgekd.learn.pruning import narrow
from edgekd.learn.pruning.groups import ChannelGroup
from edgekd.learn.pruning.groups import Kept
from edgekd.learn.pruning.importance import Worth

LEAST = 0.125
"""Of a group's channels, the share that stays in any case."""


class ChannelBlock(NamedTuple):
    """One block of channels of one group."""

    group: str
    width: int
    """What is left of the group after it."""
    rate: float
    """Worth lost for each multiply-accumulate (or parameter) saved; not under that of the group's
    blocks before it."""


def order_cuts(
    groups: Sequence[ChannelGroup], worth: Worth, saving: Mapping[str, float], multiple: int
) -> list[ChannelBlock]:
    """Order all blocks of all groups as they are to be cut.

    Args:
        groups: that can be pruned.
        worth: of their channels.
        saving: what one channel of a group costs.
        multiple: each width left is a multiple of it.

    Raises:
        ValueError: if `multiple` is not positive.
    """
    if multiple < 1:
        raise ValueError(f"multiple: got {multiple}, want at least 1")
    cuts = []
    for group in groups:
        ascending = worth[group.name].sort().values
        floor, rate, width = max(multiple, LEAST * group.width), 0.0, group.width
        for left in range((group.width - 1) // multiple * multiple, 0, -multiple):
            if left < floor:
                break
            lost = float(ascending[group.width - width : group.width - left].sum())
            rate = max(rate, lost / max((width - left) * saving[group.name], 1e-300))
            width = left
            cuts.append(ChannelBlock(group.name, width, rate))
    return sorted(cuts, key=lambda cut: (cut.rate, cut.group, -cut.width))


def find_kept(cuts: Sequence[ChannelBlock], worth: Worth) -> Kept:
    """Return the channels that stay, of each group that was cut: those worth most."""
    left: dict[str, int] = {}
    for cut in cuts:
        left[cut.group] = min(cut.width, left.get(cut.group, cut.width))
    return {
        name: tuple(sorted(worth[name].sort(descending=True, stable=True).indices[:width].tolist()))
        for name, width in left.items()
    }


def channel_macs(
    model: nn.Module, groups: Sequence[ChannelGroup], *inputs: Tensor
) -> dict[str, float]:
    """Multiply-accumulates of one sample that go with one channel of each group, all others whole.

    Args:
        model: is run once, in evaluation mode.
        groups: of it.
        inputs: of one sample, each [1, ...].
    """
    places: dict[nn.Module, int] = {}

    def look(layer: nn.Module, taken: tuple[Tensor, ...], given: Tensor) -> None:
        channels = given.shape[1] if isinstance(layer, nn.Conv2d) else given.shape[-1]
        places[layer] = places.get(layer, 0) + given.numel() // channels

    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(look) for layer in layers]
    try:
        run_once(model, *inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return _each(model, groups, {m: m.weight.numel() * places.get(m, 0) for m in layers})


def channel_parameters(model: nn.Module, groups: Sequence[ChannelGroup]) -> dict[str, float]:
    """Parameters that go with one channel of each group, all others whole."""
    return _each(
        model, groups, {m: sum(p.numel() for p in m.parameters()) for m in model.modules()}
    )


def _each(
    model: nn.Module, groups: Sequence[ChannelGroup], costs: Mapping[nn.Module, int]
) -> dict[str, float]:
    each = {}
    for group in groups:
        each[group.name] = 0.0
        for member in group.members:
            layer = model.get_submodule(member.path)
            wide = narrow.read_widths(layer)[member.side != "in"]
            each[group.name] += costs.get(layer, 0) * len(member.channels[0]) / wide
    return each

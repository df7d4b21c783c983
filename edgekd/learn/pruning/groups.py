"""Which channels of which layers can only be removed together (Fang et al. 2023, DepGraph, arXiv:2301.12900).

torch-pruning finds them; here they are read into plain tuples, and left alone where a layer among
them is none that can be built narrower.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any
from typing import Literal
from typing import NamedTuple

from torch import Tensor
from torch import nn

from edgekd.errors import MachineError

KINDS = (nn.Conv2d, nn.Linear, nn.BatchNorm2d)


class LayerSide(NamedTuple):
    """One side of one layer."""

    path: str
    """Of the module."""
    side: Literal["in", "out", "both"]
    """``both``: a batch norm or a depthwise convolution, whose outputs are its inputs."""
    channels: tuple[tuple[int, ...], ...]
    """For each channel of the group, the layer's own: several where an image was flattened."""


class ChannelGroup(NamedTuple):
    """Channels that are removed together."""

    name: str
    """Path of a layer that makes them."""
    width: int
    members: tuple[LayerSide, ...]

    def readers(self) -> tuple[LayerSide, ...]:
        """The layers that take these channels in."""
        return tuple(member for member in self.members if member.side == "in")


Kept = dict[str, tuple[int, ...]]
"""Group name to the channels that stay, ascending; a group that is not named stays whole."""


def find_groups(model: nn.Module, *inputs: Tensor) -> Iterator[tuple[str, ChannelGroup | str]]:
    """Yield each group by its name, or why it is left alone.

    Args:
        model: in evaluation mode and float32; is run with gradients.
        inputs: what it takes, each [B, ...].

    Raises:
        MachineError: if torch-pruning is not installed.
    """
    try:
        package = importlib.import_module("torch_pruning")
    except ImportError as error:
        hint = "pip install 'edgekd[prune]'"
        raise MachineError("prune: torch-pruning is not installed", hint=hint) from error
    names: dict[Any, str] = {module: path for path, module in model.named_modules()}
    try:
        graph = package.DependencyGraph().build_dependency(model, inputs, verbose=False)
        raws = list(graph.get_all_groups(root_module_types=(nn.Conv2d, nn.Linear)))
    except Exception as error:  # it raises whatever its arithmetic on shapes comes to
        yield "model", f"torch-pruning cannot follow it: {type(error).__name__}: {error}"[:200]
        return
    for raw in raws:
        items = [raw[number] for number in range(len(raw))]
        name = names[items[0].dep.target.module]
        yield name, _read(name, items, names, graph.is_out_channel_pruning_fn)


def _read(name: str, items: list[Any], names: dict[Any, str], is_out: Any) -> ChannelGroup | str:
    width = len(items[0].idxs)
    members: list[LayerSide] = []
    for item in items:
        layer = item.dep.target.module
        if isinstance(layer, nn.Parameter):
            return "its channels meet a parameter outside of any layer"
        if layer not in names or not any(True for _ in layer.parameters()):
            continue  # an operation without weights
        path = names[layer]
        depthwise = isinstance(layer, nn.Conv2d) and is_depthwise(layer)
        reason = _refused(path, layer)
        if reason:
            return reason
        own: list[list[int]] = [[] for _ in range(width)]
        for root, index in zip(item.root_idxs, item.idxs, strict=True):
            own[root].append(int(index))
        if len({len(channels) for channels in own}) != 1 or not own[0]:
            return f"{path} takes its channels unevenly"
        both = depthwise or isinstance(layer, nn.BatchNorm2d)
        side: Literal["in", "out", "both"]
        side = "both" if both else "out" if is_out(item.dep.handler) else "in"
        member = LayerSide(path, side, tuple(tuple(channels) for channels in own))
        if member not in members:
            members.append(member)
    group = ChannelGroup(name, width, tuple(members))
    return group if group.readers() else "no layer reads its channels"


def _refused(path: str, layer: nn.Module) -> str:
    if type(layer) not in KINDS:
        return f"{path} is a {type(layer).__name__}"
    if isinstance(layer, nn.Conv2d) and layer.groups > 1 and not is_depthwise(layer):
        return f"{path} has {layer.groups} groups"
    return ""


def is_depthwise(layer: nn.Conv2d) -> bool:
    """Return whether each channel is filtered by itself."""
    return 1 < layer.groups == layer.in_channels == layer.out_channels

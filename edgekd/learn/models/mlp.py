"""Linear layers with ReLU between them, for rows of numbers."""

from __future__ import annotations

import math

import torch
from torch import nn

from edgekd.interface import Interface
from edgekd.settings import Count
from edgekd.settings import Depth


class _MLP(nn.Module):
    def __init__(self, interface: Interface, width: int, depth: int) -> None:
        super().__init__()
        sizes = [sum(math.prod(interface.shape(end, 1)) for end in interface.inputs)]
        sizes += [width] * depth
        self.hidden = nn.Sequential()
        for number, (before, after) in enumerate(zip(sizes, sizes[1:], strict=False)):
            self.hidden.add_module(f"linear{number}", nn.Linear(before, after))
            self.hidden.add_module(f"relu{number}", nn.ReLU())
        self.shapes = [interface.shape(end, 1)[1:] for end in interface.outputs]
        self.outputs = nn.ModuleList(nn.Linear(sizes[-1], math.prod(s)) for s in self.shapes)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        flat = [each.flatten(1) for each in inputs]
        found = self.hidden(flat[0] if len(flat) == 1 else torch.cat(flat, 1))
        given = tuple(
            layer(found) if len(shape) == 1 else layer(found).unflatten(1, shape)
            for layer, shape in zip(self.outputs, self.shapes, strict=True)
        )
        return given if len(given) > 1 else given[0]


def mlp(*, interface: Interface, width: Count = 64, depth: Depth = 2) -> nn.Module:
    """Linear layers over all numbers of all inputs, and one more for each output.

    Args:
        interface: what it takes, float32 of fixed sizes, and what it gives.
        width: numbers in a layer between.
        depth: layers between.

    Returns:
        A model with these ends.

    Raises:
        ValueError: if an input is no row of real numbers, or an axis beside the batch is free.
    """
    for end in (*interface.inputs, *interface.outputs):
        if end.dtype != "float32" or len(interface.free_axes(end)) > 1:
            raise ValueError(
                f"got {end.name} {end.dtype} {list(end.shape)}, want float32 of fixed sizes"
            )
        if len(end.shape) < 2:
            raise ValueError(f"got {end.name} {list(end.shape)}, want an axis beside the batch")
    return _MLP(interface, width, depth)

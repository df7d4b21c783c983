"""Made-up inputs in the shapes that a model takes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from edgekd.interface import Interface
from edgekd.interface import Tensor

Inputs = tuple[torch.Tensor, ...]


def make_zeros(interface: Interface, count: int) -> Inputs:
    """One tensor an input, of `count` samples: zeros, and masks of ones."""
    return tuple(_zeros(interface, tensor, count) for tensor in interface.inputs)


def make_example(interface: Interface) -> Inputs:
    """Inputs of two samples, all zeros, whose free axes are at least 2 long: an exporter takes an axis of 1 for a
    fixed one."""
    sizes = {axis.name: max(2, axis.usual) for axis in interface.axes}
    return tuple(_zeros(interface, tensor, 2, sizes) for tensor in interface.inputs)


def free_dimensions(model: nn.Module, interface: Interface) -> tuple[Any, ...]:
    """Return which axes of each input torch's exporter leaves free, as it wants that for `model`."""
    return as_arguments(
        model,
        [
            dict.fromkeys(interface.free_axes(end), torch.export.Dim.DYNAMIC)
            for end in interface.inputs
        ],
    )


def as_arguments(model: nn.Module, each: Sequence[Any]) -> tuple[Any, ...]:
    """One value an input as one value a parameter of the model's ``forward``: those of ``*inputs`` together."""
    kinds = [parameter.kind for parameter in inspect.signature(model.forward).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        return tuple(each)
    first = kinds.index(inspect.Parameter.VAR_POSITIONAL)
    return (*each[:first], tuple(each[first:]))


def make_noise(interface: Interface, count: int) -> Inputs:
    """One tensor an input, the same each time: normal noise, any numbers below an index's end, masks of ones."""
    random = torch.Generator().manual_seed(0)
    made = []
    for tensor in interface.inputs:
        if tensor.kind in ("values", "logits", "state") and tensor.dtype.startswith("float"):
            made.append(torch.randn(interface.shape(tensor, count), generator=random))
        elif tensor.kind == "index":
            shape = interface.shape(tensor, count)
            drawn = torch.randint(max(tensor.below, 1), shape, generator=random)
            made.append(drawn.to(_dtype(tensor)))
        else:
            made.append(_zeros(interface, tensor, count))
    return tuple(made)


def _zeros(
    interface: Interface, tensor: Tensor, count: int, sizes: Mapping[str, int] = {}
) -> torch.Tensor:
    fill = 1 if tensor.kind == "mask" else 0
    shape = interface.shape(tensor, count, **sizes)
    return torch.full(shape, fill, dtype=_dtype(tensor))


def _dtype(tensor: Tensor) -> torch.dtype:
    dtype = getattr(torch, tensor.dtype)
    assert isinstance(dtype, torch.dtype)
    return dtype

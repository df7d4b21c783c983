"""Made-up inputs in the shapes that a model takes."""

from __future__ import annotations

import torch

from edgekd.interface import Interface
from edgekd.interface import Tensor

Inputs = tuple[torch.Tensor, ...]


def zeros(interface: Interface, count: int) -> Inputs:
    """One tensor an input, of `count` samples: zeros, and masks of ones."""
    return tuple(_zeros(interface, tensor, count) for tensor in interface.inputs)


def noise(interface: Interface, count: int) -> Inputs:
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


def _zeros(interface: Interface, tensor: Tensor, count: int) -> torch.Tensor:
    fill = 1 if tensor.kind == "mask" else 0
    return torch.full(interface.shape(tensor, count), fill, dtype=_dtype(tensor))


def _dtype(tensor: Tensor) -> torch.dtype:
    dtype = getattr(torch, tensor.dtype)
    assert isinstance(dtype, torch.dtype)
    return dtype

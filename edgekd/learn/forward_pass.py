"""A look at a model while it runs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch import nn

Outputs = tuple[Tensor, ...]
"""What a model gives, in its interface's order."""


def as_tuple(outputs: Any) -> Outputs:
    """Return what a model gives as a tuple, also where it gives one tensor."""
    return tuple(outputs) if isinstance(outputs, tuple) else (outputs,)


def run_once(model: nn.Module, *inputs: Tensor) -> Any:
    """Run `model` once in evaluation mode, without gradient, on its own device; give what it gives. Its hooks see what
    passes.

    Each of its modules is left in the mode in which it was: parts that are frozen in evaluation mode stay so.
    """
    modes = [(module, module.training) for module in model.modules()]
    device = next(model.parameters(), inputs[0]).device
    try:
        with torch.no_grad():
            return model.eval()(*(each.to(device) for each in inputs))
    finally:
        for module, training in modes:
            module.training = training

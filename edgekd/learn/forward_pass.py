"""A look at a model while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any
from typing import Protocol

import torch
from torch import Tensor
from torch import nn

Outputs = tuple[Tensor, ...]
"""What a model gives, in its interface's order."""


class Switch(Protocol):
    """A part of a model that can let everything through as it is."""

    enabled: bool


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


@contextmanager
def switch_off(parts: Sequence[Switch]) -> Iterator[None]:
    """Let `parts` do nothing, and afterwards what they did before."""
    before = [each.enabled for each in parts]
    for each in parts:
        each.enabled = False
    try:
        yield
    finally:
        for each, enabled in zip(parts, before, strict=True):
            each.enabled = enabled

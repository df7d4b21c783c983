"""Second moments of what linear layers take, streamed: memory does not grow with the number of samples."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.forward_pass import run_once
from edgekd.learn.model_inputs import Inputs


class InputMoments:
    """The mean of x x^T over all places of all samples: [K, K], float32; half the Hessian of a layer's square error."""

    def __init__(self, width: int) -> None:
        self.total = torch.zeros(width, width)
        self.count = 0

    def add(self, values: Tensor) -> None:
        """Take in the inputs [..., K] of one batch."""
        rows = values.detach().reshape(-1, values.shape[-1]).float()
        self.total.addmm_(rows.T, rows)
        self.count += len(rows)

    def mean(self) -> Tensor:
        """[K, K]; the identity of a layer that saw nothing."""
        return self.total / self.count if self.count else torch.eye(len(self.total))


def collect_moments(
    model: nn.Module, layers: Iterable[str], batches: Iterable[Inputs]
) -> dict[str, InputMoments]:
    """What each of the linear `layers` of `model` takes, by module path. Layers that take the same tensor share it."""
    modules = dict(model.named_modules())
    found: dict[str, InputMoments] = {}
    latest: list[tuple[Tensor, str]] = []

    def note(name: str, taken: Tensor) -> None:
        for tensor, first in latest:
            if tensor is taken:
                found[name] = found[first]
                return
        latest[:] = [*latest[-3:], (taken, name)]
        found.setdefault(name, InputMoments(taken.shape[-1])).add(taken)

    hooks = [
        modules[name].register_forward_pre_hook(lambda _m, args, name=name: note(name, args[0]))
        for name in layers
    ]
    try:
        for inputs in batches:
            run_once(model, *inputs)
            latest.clear()
    finally:
        for hook in hooks:
            hook.remove()
    return found

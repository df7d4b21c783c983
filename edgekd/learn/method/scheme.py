"""What a scheme is: who teaches whom, on what inputs, when; it gives lessons to the losses."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.arithmetic import to_device

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Signals = Mapping[str, Tensor]


class TensorBatch(NamedTuple):
    """One batch as tensors on the training device, in the arithmetic of the training."""

    indices: NDArray[np.int64]
    """[B], into the training split."""
    view: int
    inputs: tuple[Tensor, ...]
    """What the network takes, in the order in which it does."""
    targets: Mapping[str, Tensor]
    """What its answers are compared with, by name."""
    epoch: float = 0.0
    """Epochs since the start, with the fraction of this one."""
    epochs: int = 1
    """How many there will be."""
    host_targets: Mapping[str, NDArray[Any]] | None = None
    """The targets as they were loaded, so that nobody who needs their values has to wait for the device; None where they
    were tensors from the beginning."""
    host_inputs: tuple[NDArray[Any], ...] | None = None
    """The inputs in the same way; None also where the device makes a part of them."""

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.inputs[0].device


class Lesson(NamedTuple):
    """The signals that one learner is taught by in one step."""

    signals: Signals
    """What the recipe's losses compare."""
    weight: float = 1.0
    """Of those losses, among the lessons of the step."""
    own: Mapping[str, Tensor] = {}
    """Terms of the scheme's own, weighted already: what a generator or a discriminator learns from."""


def label_signals(batch: TensorBatch) -> dict[str, Tensor]:
    """Return all targets by name, and ``sample_indices``; ``label_indices`` only where no view mixes samples."""
    labels = batch.targets.get("labels")
    indices = {} if labels is None or labels.ndim != 1 else {"label_indices": labels}
    numbers = to_device(torch.from_numpy(batch.indices), batch.device)
    return {**batch.targets, "sample_indices": numbers, **indices}


class Scheme(NamedTuple):
    """`lessons` runs the student (and whoever teaches) on a batch and names what came out.

    The first lesson is the student's; others are those of peers, exits or generators that learn along.
    `companions` are trained beside the student: they are in the optimizer and the checkpoint and
    never in the shipped model.
    """

    lessons: Callable[[nn.Module, TensorBatch], Sequence[Lesson]]
    companions: nn.ModuleDict

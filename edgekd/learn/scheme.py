"""What a scheme is: who teaches whom, on what inputs, when; told as lessons for the losses."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.data.loader import Batch

Signals = Mapping[str, Tensor]


class Seen(NamedTuple):
    """One batch on the training device."""

    batch: Batch
    images: Tensor
    """[B, C, H, W], normalised."""
    labels: Tensor
    """[B] or [B, C]."""
    epoch: float = 0.0
    """Epochs since the start, with the fraction of this one."""
    epochs: int = 1
    """How many there will be."""


class Lesson(NamedTuple):
    """What one learner is taught in one step."""

    signals: Signals
    """What the recipe's losses compare."""
    weight: float = 1.0
    """Of those losses, among the lessons of the step."""
    own: Mapping[str, Tensor] = {}
    """Terms of the scheme's own, weighted already: what a generator or a discriminator learns from."""


def labelled(seen: Seen) -> dict[str, Tensor]:
    """The signals that labels give: ``label_indices`` only where no view mixes samples."""
    indices = {"label_indices": seen.labels} if seen.labels.ndim == 1 else {}
    numbers = torch.from_numpy(seen.batch.indices).to(seen.images.device)
    return {"labels": seen.labels, "sample_indices": numbers, **indices}


class Scheme(NamedTuple):
    """`lessons` runs the student (and whoever teaches) on a batch and names what came out.

    The first lesson is the student's; others are those of peers, exits or generators that learn along.
    `companions` are trained beside the student: they are in the optimizer and the checkpoint and
    never in the shipped model.
    """

    lessons: Callable[[nn.Module, Seen], Sequence[Lesson]]
    companions: nn.ModuleDict

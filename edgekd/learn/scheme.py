"""What a scheme is: who teaches whom, on what inputs, when; told as signals for the losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor
from torch import nn

from edgekd.learn.data.loader import Batch


class Seen(NamedTuple):
    """One batch on the training device."""

    batch: Batch
    images: Tensor
    """[B, C, H, W], normalised."""
    labels: Tensor
    """[B] or [B, C]."""


def labelled(seen: Seen) -> dict[str, Tensor]:
    """The signals that labels give: ``label_indices`` only where no view mixes samples."""
    indices = {"label_indices": seen.labels} if seen.labels.ndim == 1 else {}
    return {"labels": seen.labels, **indices}


class Scheme(NamedTuple):
    """`signals` runs the student (and whoever teaches) on a batch and names what came out.

    `companions` are trained beside the student: they are in the optimizer and the checkpoint and
    never in the shipped model.
    """

    signals: Callable[[nn.Module, Seen], dict[str, Tensor]]
    companions: nn.ModuleDict

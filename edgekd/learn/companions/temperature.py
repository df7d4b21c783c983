"""A learnt temperature that makes distillation harder while the student makes it easier."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.mathematics.reversal import reverse_gradient

if TYPE_CHECKING:
    from edgekd.settings import Count
    from edgekd.settings import Positive


def temperature(
    *, batches: Count, lowest: Positive = 1.0, span: Positive = 20.0, epochs: Positive = 10.0
) -> nn.Module:
    """T = lowest + span sigmoid(t), with one t for all samples that climbs where the student descends.

    Its reversed gradient is turned up from 0 to 1 along half a cosine over the first epochs (Li et al.
    2023, arXiv:2211.16231: the global temperature module). t starts at 1, as the authors have it: T
    is 15.6 then.

    Args:
        batches: in an epoch.
        lowest: T lies above it.
        span: and at most that much above it.
        epochs: until the gradient counts in full.

    Returns:
        A module that reads nothing and gives ``temperature`` [].
    """
    return _Temperature(lowest, span, max(1, round(epochs * batches)))


class _Temperature(nn.Module):
    """Counts its uses in training in a buffer, so that a run that goes on goes on with them."""

    uses: Tensor

    def __init__(self, lowest: float, span: float, over: int) -> None:
        super().__init__()
        self.lowest, self.span, self.over = lowest, span, over
        self.raw = nn.Parameter(torch.ones(()))
        self.register_buffer("uses", torch.zeros((), dtype=torch.int64))

    def forward(self) -> dict[str, Tensor]:
        done = (self.uses / self.over).clamp(max=1)
        strength = (1 - torch.cos(math.pi * done)) / 2
        if self.training:
            self.uses += 1
        raw = reverse_gradient(self.raw, strength)
        return {"temperature": self.lowest + self.span * torch.sigmoid(raw)}

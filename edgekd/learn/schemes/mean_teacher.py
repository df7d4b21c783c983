"""The student's own moving average teaches it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn

from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.scheme import label_signals

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.settings import Fraction


def ema(student: nn.Module, *, decay: Fraction = 0.99) -> Scheme:
    """Mean teacher: a copy of the student follows its weights slowly and answers the same batch.

    Tarvainen and Valpola 2017 (arXiv:1703.01780, sec. 2): w' = a w' + (1 - a) w before each batch,
    where a is the true average's 1 - 1 / (t + 1) until that exceeds `decay`. As with the authors the copy
    is in training mode: batch norm hears the batch, dropout draws anew. They show it another view of the
    sample; here it sees the same one. The copy remembers about 1 / (1 - decay) batches: the authors' 0.999
    after a start at 0.99 is for runs of many thousands. Recipes: cross-entropy 1, kd or logit-mse with a ramp over the
    first epochs.

    Args:
        student: the network that learns; its weights are averaged.
        decay: the largest a.

    Returns:
        The student's lesson. The copy is in the checkpoint; the optimizer has nothing of it.
    """
    average = _Average(student)

    def lessons(learner: nn.Module, batch: TensorBatch) -> list[Lesson]:
        average.train(learner.training)
        if learner.training:
            average.follow(student, decay)
        with torch.no_grad():
            told = average.network(*batch.inputs)
        answers = {"student_logits": learner(*batch.inputs), "teacher_logits": told}
        return [Lesson({**answers, **label_signals(batch)})]

    return Scheme(lessons, nn.ModuleDict({"average": average}))


class _Average(nn.Module):
    """A copy whose weights no gradient moves, and how often it has moved."""

    moves: Tensor

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(student).requires_grad_(False)
        self.register_buffer("moves", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def follow(self, student: nn.Module, decay: float) -> None:
        """Go a step towards the student: all the way at first."""
        share = (1 / (self.moves + 1)).clamp(min=1 - decay)
        for mine, theirs in zip(self.network.parameters(), student.parameters(), strict=True):
            mine.lerp_(theirs, share.to(mine.dtype))
        self.moves += 1

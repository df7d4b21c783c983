"""Several teachers whose weights are learned, sample by sample."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.mathematics.ensemble import TeacherWeights
from edgekd.learn.mathematics.ensemble import blend
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.scheme import label_signals

if TYPE_CHECKING:
    from edgekd.settings import Positive


def adaptive(
    teacher_functions: Sequence[Callable[[TensorBatch], Tensor]],
    classes: int,
    *,
    temperature: Positive = 4.0,
) -> Scheme:
    """The student hears one mixture of its teachers, weighted by what suits the sample.

    The weights come from the student's logits, normalized and not taught by it. They learn by the
    cross-entropy of the mixture to the labels, -log sum_k w_k p_k(y), since a loss moves no teacher; the
    original lets them follow the student's own loss (Liu, Zhang and Wang 2020, AMTML-KD, arXiv:2103.04062).

    Args:
        teacher_functions: each gives the logits [B, C] of one teacher, without gradient.
        classes: C.
        temperature: at which the teachers' probabilities are mixed.

    Returns:
        One lesson with ``student_logits``, ``teacher_logits`` and the labels, and a term of its own.

    Raises:
        ValueError: if there is no teacher.
    """
    if not teacher_functions:
        raise ValueError("want at least one teacher")
    weighing = TeacherWeights(classes, len(teacher_functions))

    def lessons(student: nn.Module, batch: TensorBatch) -> list[Lesson]:
        answers = student(*batch.inputs)
        told = torch.stack([function(batch) for function in teacher_functions])
        weights = weighing(answers)
        signals = {
            "student_logits": answers,
            "teacher_logits": blend(told, weights.detach(), temperature),
            **label_signals(batch),
        }
        learned = F.cross_entropy(blend(told, weights, 1.0), batch.targets["labels"])
        return [Lesson(signals, own={"weighing": learned})]

    return Scheme(lessons, nn.ModuleDict({"weighing": weighing}))

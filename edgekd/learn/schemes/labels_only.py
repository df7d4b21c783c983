"""No teacher: the student and the labels. Teachers and controls are trained so."""

from __future__ import annotations

from torch import nn

from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.scheme import label_signals


def learn_from_labels() -> Scheme:
    """The student's logits and the labels."""

    def lessons(student: nn.Module, batch: TensorBatch) -> list[Lesson]:
        return [Lesson({"student_logits": student(*batch.inputs), **label_signals(batch)})]

    return Scheme(lessons, nn.ModuleDict())

"""A finished teacher tells the student what it thinks of each batch; the common form."""

from __future__ import annotations

from torch import nn

from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.scheme import label_signals
from edgekd.learn.method.teacher import TeacherFunction


def offline(teacher_function: TeacherFunction) -> Scheme:
    """The student hears what finished teachers say of each batch."""

    def lessons(student: nn.Module, batch: TensorBatch) -> list[Lesson]:
        told = teacher_function(batch)
        answers = {"student_logits": student(*batch.inputs), "teacher_logits": told}
        return [Lesson({**answers, **label_signals(batch)})]

    return Scheme(lessons, nn.ModuleDict())

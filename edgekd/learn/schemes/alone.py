"""No teacher: the student and the labels. Teachers and controls are trained so."""

from __future__ import annotations

from torch import Tensor
from torch import nn

from edgekd.learn.scheme import Scheme
from edgekd.learn.scheme import Seen
from edgekd.learn.scheme import labelled


def alone() -> Scheme:
    """The student's logits and the labels."""

    def signals(student: nn.Module, seen: Seen) -> dict[str, Tensor]:
        return {"student_logits": student(seen.images), **labelled(seen)}

    return Scheme(signals, nn.ModuleDict())

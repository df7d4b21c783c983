"""The teacher's own route: its early checkpoints teach first, the finished one last."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

from torch import Tensor
from torch import nn

from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.scheme import label_signals


def route(waypoint_functions: Sequence[Callable[[TensorBatch], Tensor]]) -> Scheme:
    """Each anchor teaches for an equal share of the epochs, one after the other.

    The student follows points of the teacher's training, each nearer to it than the finished teacher is
    (Jin et al. 2019, arXiv:1904.09149, sec. 3.2 and 3.3).

    Args:
        waypoint_functions: each gives the logits [B, C] of one checkpoint, without gradient; the last is the
            converged teacher's.

    Returns:
        One lesson with ``student_logits``, ``teacher_logits`` and the labels.

    Raises:
        ValueError: if there is no anchor.
    """
    if not waypoint_functions:
        raise ValueError("want at least one anchor")

    def lessons(student: nn.Module, batch: TensorBatch) -> list[Lesson]:
        now = min(
            int(batch.epoch * len(waypoint_functions) / batch.epochs), len(waypoint_functions) - 1
        )
        told = {"teacher_logits": waypoint_functions[now](batch)}
        return [Lesson({"student_logits": student(*batch.inputs), **told, **label_signals(batch)})]

    return Scheme(lessons, nn.ModuleDict())

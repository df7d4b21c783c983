"""A finished teacher: its answers read from the store, or asked anew at every step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.scheme import Scheme
from edgekd.learn.scheme import Seen

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def from_knowledge(answers: NDArray[np.float32]) -> Scheme:
    """The teacher's stored logits [views, samples, classes] stand in for the teacher."""

    def signals(student: nn.Module, seen: Seen) -> dict[str, Tensor]:
        told = torch.from_numpy(answers[seen.batch.view, seen.batch.indices])
        return {
            "student_logits": student(seen.images),
            "teacher_logits": told.to(seen.images.device),
            "labels": seen.labels,
        }

    return Scheme(signals, nn.ModuleDict())


def from_teacher(teacher: nn.Module, precision: torch.dtype | None) -> Scheme:
    """The teacher answers each batch, in evaluation mode and without gradient.

    Args:
        teacher: it is put in evaluation mode; its weights and buffers stay as they are.
        precision: what its forward pass is autocast to; None for float32.
    """
    teacher.eval().requires_grad_(False)

    def signals(student: nn.Module, seen: Seen) -> dict[str, Tensor]:
        kind = seen.images.device.type
        with torch.no_grad(), torch.autocast(kind, precision, enabled=precision is not None):
            told = teacher(seen.images)
        return {
            "student_logits": student(seen.images),
            "teacher_logits": told.float(),
            "labels": seen.labels,
        }

    return Scheme(signals, nn.ModuleDict())

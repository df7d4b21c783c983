"""A finished teacher, or several: their answers read from the store, or asked anew at every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.scheme import Scheme
from edgekd.learn.scheme import Seen
from edgekd.learn.scheme import labelled

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Tell = Callable[[Seen], Tensor]
"""A teacher's logits [B, classes] to what the student sees, without gradient."""


def stored(answers: NDArray[np.float32]) -> Tell:
    """The teacher's stored logits [views, samples, classes] stand in for the teacher."""

    def tell(seen: Seen) -> Tensor:
        told = torch.from_numpy(answers[seen.batch.view, seen.batch.indices])
        return told.to(seen.images.device)

    return tell


def live(teacher: nn.Module, precision: torch.dtype | None) -> Tell:
    """The teacher answers each batch, in evaluation mode and without gradient.

    Args:
        teacher: it is put in evaluation mode; its weights and buffers stay as they are.
        precision: what its forward pass is autocast to; None for float32.
    """
    teacher.eval().requires_grad_(False)

    def tell(seen: Seen) -> Tensor:
        kind = seen.images.device.type
        with torch.no_grad(), torch.autocast(kind, precision, enabled=precision is not None):
            told: Tensor = teacher(seen.images)
        return told.float()

    return tell


def taught_by(*teachers: Tell) -> Scheme:
    """The student hears the mean of the teachers' logits.

    Raises:
        ValueError: if there is no teacher.
    """
    if not teachers:
        raise ValueError("want at least one teacher")

    def signals(student: nn.Module, seen: Seen) -> dict[str, Tensor]:
        told = [tell(seen) for tell in teachers]
        return {
            "student_logits": student(seen.images),
            "teacher_logits": told[0] if len(told) == 1 else torch.stack(told).mean(0),
            **labelled(seen),
        }

    return Scheme(signals, nn.ModuleDict())


def from_knowledge(answers: NDArray[np.float32]) -> Scheme:
    """One teacher, `stored`."""
    return taught_by(stored(answers))


def from_teacher(teacher: nn.Module, precision: torch.dtype | None) -> Scheme:
    """One teacher, `live`."""
    return taught_by(live(teacher, precision))

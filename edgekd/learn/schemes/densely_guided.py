"""Teacher and assistants teach together, a random part of them at a time."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.scheme import label_signals

if TYPE_CHECKING:
    from edgekd.settings import Fraction


def densely_guided(
    teacher_functions: Sequence[Callable[[TensorBatch], Tensor]], *, keep: Fraction = 0.75
) -> Scheme:
    """One lesson from each teacher that survives the step, all of one weight; only those are asked.

    Teachers drop out one by one with probability 1 - keep; if all would, one of them stays (Son et al.
    2021, arXiv:2009.08825, sec. 3.2 and 3.3). The weights add up to 1, so that the labels count as they
    would with one teacher.

    Args:
        teacher_functions: each gives the logits [B, C] of one teacher or assistant, without gradient.
        keep: probability to survive a step.

    Returns:
        Lessons with ``student_logits``, ``teacher_logits`` and the labels.

    Raises:
        ValueError: if there is no teacher.
    """
    if not teacher_functions:
        raise ValueError("want at least one teacher")

    def lessons(student: nn.Module, batch: TensorBatch) -> list[Lesson]:
        shared = {"student_logits": student(*batch.inputs), **label_signals(batch)}
        chosen = _survivors(batch, len(teacher_functions), keep)
        return [
            Lesson({**shared, "teacher_logits": teacher_functions[number](batch)}, 1 / len(chosen))
            for number in chosen
        ]

    return Scheme(lessons, nn.ModuleDict())


def _survivors(batch: TensorBatch, teachers: int, keep: float) -> list[int]:
    """A function of the batch and the epoch alone, so that a run that goes on chooses the same."""
    seed = zlib.crc32(batch.indices.tobytes(), int(batch.epoch))
    chance = torch.Generator().manual_seed(seed)
    kept = torch.rand(teachers, generator=chance) < keep
    if not kept.any():
        return [int(torch.randint(teachers, (), generator=chance))]
    return kept.nonzero().flatten().tolist()

"""Each stage of the student learns by itself to do what the teacher's stage does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from edgekd.learn.companions.projector import projector
from edgekd.learn.method.readout import first_two_samples
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.scheme import label_signals
from edgekd.learn.method.taps import INPUT
from edgekd.learn.method.taps import Taps
from edgekd.learn.method.taps import record_shapes

if TYPE_CHECKING:
    from edgekd.learn.data.loader import Samples
    from edgekd.learn.mathematics.shapes import Shape
    from edgekd.settings import NonNegative
    from edgekd.settings import Positive

Pairs = Sequence[tuple[str, str]]
"""Paths of a student's and a teacher's stage each, shallow to deep."""


def blockwise(
    student: nn.Module,
    teacher: nn.Module,
    samples: Samples,
    pairs: Pairs,
    *,
    blocks: Positive = 1.0,
    end_to_end: NonNegative = 1.0,
) -> Scheme:
    """Mean squared error of each stage's output, given what enters the teacher's stage.

    Li et al. 2020 (DNA, arXiv:1911.13053, sec. 3.2), with an end-to-end lesson beside it. The first
    stage is given what the student itself brings to it, so that all before it learns along. Between
    networks of other widths a projector stands at a stage's entry and at its exit. Batch norms of
    the student keep the statistics of the whole student, none of stages that run alone.

    Args:
        student: what is trained.
        teacher: frozen, in evaluation mode.
        samples: says what shapes its inputs have.
        pairs: of stages. The student's take one tensor and give one.
        blocks: weight of each stage's error: the terms ``block-1``, ``block-2``, ...
        end_to_end: weight of the recipe's losses on the student's logits.

    Raises:
        ValueError: if there is no such stage, it cannot be run alone, or the two cannot be laid out
            alike.
    """
    if not pairs:
        raise ValueError("got no pairs of stages, want at least one")
    read, heard = _places(pairs, 0), _places(pairs, 1)
    entries, exits = _projectors(student, teacher, samples, pairs)
    own_taps, their_taps = Taps(student, read), Taps(teacher, heard)

    def lessons(learner: nn.Module, batch: TensorBatch) -> list[Lesson]:
        with their_taps as theirs, torch.no_grad():
            told = teacher(*batch.inputs)
        with own_taps as own:
            logits = learner(*batch.inputs)
        errors = {}
        for number, (path, there) in enumerate(pairs):
            if number:
                entry = entries[number - 1](theirs[there + INPUT], own[path + INPUT])
                made = _alone(student, path, entry["student_features"])
            else:
                made = own[path]
            both = exits[number](made, theirs[there])
            error = F.mse_loss(both["student_features"], both["teacher_features"])
            errors[f"block-{number + 1}"] = blocks * error
        signals = {"student_logits": logits, "teacher_logits": told, **label_signals(batch)}
        return [Lesson(signals, end_to_end, errors)]

    return Scheme(lessons, nn.ModuleDict({"entries": entries, "exits": exits}))


def _places(pairs: Pairs, side: int) -> list[str]:
    """Return what is read of one network: all outputs, and what enters the stages after the first."""
    paths = [pair[side] for pair in pairs]
    return paths + [path + INPUT for path in paths[1:]]


def _projectors(
    student: nn.Module, teacher: nn.Module, samples: Samples, pairs: Pairs
) -> tuple[nn.ModuleList, nn.ModuleList]:
    """Return what stands at the entries of the stages after the first, and at the exits of all."""
    ours, theirs = (
        record_shapes(
            model,
            _places(pairs, side),
            *first_two_samples(samples, next(model.parameters()).device),
        )
        for side, model in enumerate((student, teacher))
    )
    entries, exits = nn.ModuleList(), nn.ModuleList()
    for number, (path, there) in enumerate(pairs):
        made = ours[path]
        if number:
            given, wanted = theirs[there + INPUT], ours[path + INPUT]
            entries.append(projector(given, wanted))
            made = _tried(student, path, entries[-1], given, wanted)
        exits.append(projector(made, theirs[there]))
    return entries, exits


def _tried(student: nn.Module, path: str, entry: nn.Module, given: Shape, wanted: Shape) -> Shape:
    """The shape of what a stage makes of what its entry lets in."""
    kind = next(student.parameters())
    try:
        with torch.no_grad():
            features = entry.eval()(torch.zeros(given), torch.zeros(wanted))["student_features"]
            made = _alone(student, path, features.to(kind))
        return tuple(made.shape)
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(f"student stage {path!r} cannot be run alone: {error}") from error
    finally:
        entry.train()


def _alone(student: nn.Module, path: str, features: Tensor) -> Tensor:
    """Return what a stage gives to features; no buffer of it changes."""
    stage = student.get_submodule(path)
    apart = {name: buffer.clone() for name, buffer in stage.named_buffers()}
    made: Tensor = functional_call(stage, apart, (features,))
    return made

"""A finished teacher, or several: their answers read from the store, or asked anew at every step."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch import nn

from edgekd.errors import InputError
from edgekd.learn.arithmetic import to_device
from edgekd.learn.knowledge.layout import KnowledgeManifest
from edgekd.learn.knowledge.reading import KnowledgeReader
from edgekd.learn.knowledge.reading import find_broken_shards
from edgekd.learn.knowledge.reading import open_folder
from edgekd.learn.knowledge.reading import open_shards
from edgekd.learn.knowledge_settings import MANIFEST
from edgekd.learn.mathematics.ensemble import RULES
from edgekd.learn.mathematics.top_k import TopKLogits
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.stored_layers import StoredTaps
from edgekd.learn.places import locate_rows
from edgekd.learn.places import pad_answers
from edgekd.learn.places import require_rows_fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

TeacherFunction = Callable[[TensorBatch], Tensor]
"""A teacher's logits [B, classes] to what the student sees, without gradient; of several outputs their tuple."""


def read_teacher(answers: NDArray[Any]) -> TeacherFunction:
    """Return a teacher function that reads stored outputs [views, samples, ...], or fields by output of those."""

    def teacher_logits(batch: TensorBatch) -> Tensor:
        if answers.dtype.names is None:
            return to_device(torch.from_numpy(answers[batch.view, batch.indices]), batch.device)
        each = (answers[name][batch.view, batch.indices] for name in answers.dtype.names)
        return cast(
            Tensor,
            tuple(to_device(torch.from_numpy(one), batch.device) for one in each),
        )

    return teacher_logits


class StoredTeacher:
    """A teacher function that reads a store of answers in shards, and the layers beside them while `taps` are open."""

    def __init__(self, manifest: KnowledgeManifest, reader: KnowledgeReader) -> None:
        self._reader, self._layers = reader, manifest.layout.code.layers
        self.taps = None if manifest.layers is None else StoredTaps(manifest.layers)

    def __call__(self, batch: TensorBatch) -> Tensor:
        """Read the outputs to a batch; where only the likeliest classes of every place are stored `TopKLogits`.

        Raises:
            InputError: if there are other places than the batch has.
        """
        if self._reader.layout.places:
            found = self._reader.read_places(batch.view, batch.indices)
            targets = batch.host_targets
            if targets is None:
                targets = {name: each.cpu().numpy() for name, each in batch.targets.items()}
            inputs = batch.host_inputs
            if inputs is None:
                inputs = tuple(each.cpu().numpy() for each in batch.inputs)
            whole = [each for each in inputs if each.dtype.kind != "f"]
            require_rows_fit(found.lengths, batch.indices, whole, targets)
            there = locate_rows(found.lengths, targets)
            padded = pad_answers(found, there, self._reader.layout.code.settings.temperature)
            if isinstance(padded, TopKLogits):
                return cast(Tensor, padded.to(batch.device))
            return to_device(padded, batch.device)
        taps = self.taps if self.taps is not None and self.taps.is_open else None
        arrays = self._reader.read(batch.view, batch.indices, layers=taps is not None)
        if taps is not None:
            answers = len(arrays) - self._layers
            taps.fill(arrays[answers:], batch.device)
            arrays = arrays[:answers]
        each = tuple(to_device(torch.from_numpy(one), batch.device) for one in arrays)
        return each[0] if len(each) == 1 else cast(Tensor, each)


def read_folder(folder: Path) -> TeacherFunction:
    """Return a teacher function that reads the answers in a folder that `edgekd knowledge export` wrote, mapped.

    Raises:
        InputError: if there are none, or a shard is not what its digest says.
    """
    manifest, reader = open_folder(folder)
    for name in find_broken_shards(folder, manifest):
        raise InputError(f"{folder / name}: got other bytes than its digest says")
    return StoredTeacher(manifest, reader)


def has_knowledge(given: Mapping[str, Path], name: str) -> bool:
    """Return whether stored answers are among a stage's input files: one array, or shards and their manifest."""
    return name in given or f"{name}/{MANIFEST}" in given


def open_knowledge(given: Mapping[str, Path], name: str) -> TeacherFunction:
    """Return a teacher function that reads the answers that stage `knowledge` stored, mapped.

    Raises:
        InputError: if shards are missing, or not what their manifest says.
    """
    if name in given:
        return read_teacher(np.load(given[name], mmap_mode="r", allow_pickle=False))
    return StoredTeacher(*open_shards(given, name))


def run_teacher(teacher: nn.Module, precision: torch.dtype | None) -> TeacherFunction:
    """Return a teacher function that runs the teacher on each batch, in evaluation mode, without gradient.

    Args:
        teacher: it is put in evaluation mode; its weights and buffers stay as they are.
        precision: what its forward pass is autocast to; None for float32.
    """
    teacher.eval().requires_grad_(False)

    def teacher_logits(batch: TensorBatch) -> Tensor:
        kind = batch.device.type
        with (
            torch.no_grad(),
            torch.autocast(kind, precision, enabled=precision is not None),
        ):
            given = teacher(*batch.inputs)
        if isinstance(given, Tensor):
            return given.float()
        wide = tuple(each.float() if each.is_floating_point() else each for each in given)
        return cast(Tensor, wide)

    return teacher_logits


def _spread(answer: Tensor) -> Tensor:
    """Logits of all classes, also where only the likeliest are known."""
    return answer.spread() if isinstance(answer, TopKLogits) else answer


def combine_teachers(
    teachers: Sequence[TeacherFunction],
    rule: str = "mean-logits",
    temperature: float = 4.0,
) -> TeacherFunction:
    """Combine several teacher functions into one.

    Args:
        teachers: their functions; one alone is left as it is.
        rule: a name of `edgekd.learn.mathematics.ensemble.RULES`.
        temperature: at which probabilities are averaged, for rules that average them.

    Raises:
        ValueError: if there is no teacher.
    """
    if not teachers:
        raise ValueError("want at least one teacher")
    if len(teachers) == 1:
        return teachers[0]
    combined = RULES[rule]

    def teacher_logits(batch: TensorBatch) -> Tensor:
        answers = [_spread(each(batch)) for each in teachers]
        labels = batch.targets.get("labels")
        if isinstance(answers[0], Tensor):
            return combined(torch.stack(answers), labels, temperature)
        outputs = zip(*answers, strict=True)
        return cast(
            Tensor,
            tuple(combined(torch.stack(o), labels, temperature) for o in outputs),
        )

    return teacher_logits

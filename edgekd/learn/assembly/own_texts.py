"""A teacher that reads the texts of each batch by its own tokenizer."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from typing import cast

import numpy as np
import torch
from torch import Tensor

from edgekd import splits
from edgekd.errors import InputError
from edgekd.field import RaggedRows
from edgekd.learn import arrays
from edgekd.learn.arithmetic import to_device
from edgekd.learn.data import PLACES
from edgekd.learn.data.loader import Samples
from edgekd.learn.data.paired_blocks import NO_PLACE
from edgekd.learn.mathematics.paired_logits import PairedLogits
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.teacher import TeacherFunction
from edgekd.learn.view_settings import Views


class OwnTexts(NamedTuple):
    """The training split as a teacher reads it."""

    samples: Samples
    places: RaggedRows | None
    """Of each of the student's tokens the place of the teacher's that answers to it, or -1; None where an answer is one to
    the whole text."""

    def wrap(self, teacher: TeacherFunction) -> TeacherFunction:
        """The teacher function that is given these texts in place of the student's."""

        def teacher_logits(batch: TensorBatch) -> Tensor:
            own = self.samples.batch(batch.indices, batch.view)
            inputs = tuple(to_device(torch.from_numpy(e), batch.device) for e in own.inputs)
            answer = teacher(batch._replace(inputs=inputs, host_inputs=own.inputs))
            if self.places is None:
                return answer
            places = _pad(self.places[batch.indices], batch.inputs[0].shape[1])
            paired = PairedLogits.gather(answer, to_device(torch.from_numpy(places), batch.device))
            return cast(Tensor, paired)

        return teacher_logits


def open_own_texts(
    given: Mapping[str, Path], views: Views, seed: int, owners: Sequence[str] = ()
) -> dict[str, OwnTexts]:
    """The training splits of the teachers that do not read the student's, by their marks: ``""`` of the first, ``_2``.

    Args:
        given: a stage's inputs; those of a teacher lie under ``teacher/``, ``teacher_2/``, or under its owner's name.
        views: of the samples.
        seed: of the views.
        owners: by number of the teacher, what its inputs lie under, where that is another name.

    Raises:
        InputError: if the places are none of the student's tokens.
    """
    most = len(owners) or len(given)
    marks = ["", *(f"_{number}" for number in range(2, most + 1))]
    named = dict(zip(marks, owners or [f"teacher{mark}" for mark in marks], strict=False))
    return {
        mark: _open(given, owner, views, seed)
        for mark, owner in named.items()
        if owner and f"{owner}/data" in given
    }


def _open(given: Mapping[str, Path], owner: str, views: Views, seed: int) -> OwnTexts:
    named = {name: given[f"{owner}/{name}"] for name in ("data", "train")}
    samples, path = arrays.open_samples(named, views, seed), given.get(f"{owner}/{PLACES}")
    if path is None:
        return OwnTexts(samples, None)
    places = splits.read(path).get(PLACES)
    if not isinstance(places, RaggedRows) or len(places) != len(samples):
        raise InputError(f"{path}: got no places of {len(samples)} samples, want them")
    return OwnTexts(samples, places)


def _pad(rows: RaggedRows, length: int) -> np.ndarray:
    """int64 [B, length], filled up with `NO_PLACE`."""
    found = np.full((len(rows), length), NO_PLACE, np.int64)
    found[np.arange(length) < rows.lengths[:, None]] = rows.values
    return found

"""The splits a data stage made, opened for a stage that learns."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd import dataset
from edgekd.dataset import Dataset
from edgekd.errors import InputError
from edgekd.errors import find_nearest
from edgekd.learn.data import classes
from edgekd.learn.data import kinds
from edgekd.learn.data import loader
from edgekd.learn.data.image_storage import read_training_rows
from edgekd.learn.data.loader import Samples
from edgekd.learn.view_settings import Views
from edgekd.learn.views import find_misfit
from edgekd.learn.views.masking import mask_samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.field import Rows


class Calibration(NamedTuple):
    """Training samples as they are, but for tokens that a task masks, on which ranges, moments and gradients are taken."""

    dataset: Dataset
    rows: Mapping[str, Rows]
    """Of the training split."""
    chosen: NDArray[np.int64]
    """[N], indices into it."""
    seed: int

    def batches(
        self, size: int
    ) -> Iterator[tuple[tuple[NDArray[Any], ...], dict[str, NDArray[Any]]]]:
        """Inputs and targets, each [B, ...]; no more than one batch is in memory."""
        for at in range(0, len(self.chosen), size):
            numbers = np.sort(self.chosen[at : at + size])
            masked = mask_samples(self.dataset, self.rows, numbers, self.seed, 0)
            rows = {name: each[numbers] for name, each in self.rows.items()} | masked
            inputs = self.dataset.prepare_inputs(rows)
            yield tuple(inputs.values()), self.dataset.prepare_targets(rows)


def draw_calibration(given: Mapping[str, Path], count: int, seed: int) -> Calibration:
    """At most `count` samples of the training split, drawn without replacement."""
    found = dataset.read(given["data"])
    rows = read_training_rows(found, given["train"])
    chosen = loader.shuffle_samples(len(next(iter(rows.values()))), seed, 0)[:count]
    return Calibration(found, rows, chosen, seed)


def open_samples(
    given: Mapping[str, Path], views: Views, seed: int, only: Sequence[str] = ()
) -> Samples:
    """The training split, seen through `views`; of the classes that `only` names, or of all.

    Raises:
        InputError: if a class is not the data's, or views change what the data have not.
    """
    found = dataset.read(given["data"])
    rows = read_training_rows(found, given["train"])
    inputs, targets = (
        [each.kind for each in side.values()] for side in (found.inputs, found.targets)
    )
    if misfit := find_misfit(views, inputs, targets):
        raise InputError(f"views.{misfit[0]}: {misfit[1]}")
    whole = Samples(dataset=found, rows=rows, views=views, seed=seed)
    if not only:
        return whole
    try:
        names = kinds.find_label(found)[1].names
    except ValueError as error:
        raise InputError(f"only: {error}") from error
    for name in only:
        if name not in names:
            raise InputError(
                f"only: got {name!r}, want classes of the data", hint=find_nearest(name, names)
            )
    return classes.restrict_classes(whole, [names.index(name) for name in only])

"""How alike the layers of a teacher and of its students are, on the samples of a split."""

from __future__ import annotations

import math
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Literal

import torch
from torch import nn

from edgekd.learn import arithmetic
from edgekd.learn import arrays
from edgekd.learn.data import loader
from edgekd.learn.evaluation import EvaluationSplit
from edgekd.learn.mathematics import cka
from edgekd.learn.model_inputs import Inputs
from edgekd.progress import Progress

BATCH = 128
"""Samples a step in comparing layers, or fewer whose outputs are large."""


def compare_layers(
    models: Mapping[str, nn.Module],
    pairs: Sequence[tuple[str, str]],
    split: EvaluationSplit,
    layers: Sequence[str] | Literal["auto"],
    most: int,
    seed: int,
    progress: Progress,
) -> Iterator[dict[str, Any]]:
    """The similarity (CKA) of each pair of layers; models that cannot be compared so are noted and left out.

    Args:
        models: by role.
        pairs: roles that are compared.
        split: whose samples they see.
        layers: modules of the student, by path; ``auto`` picks them.
        most: samples.
        seed: of their choice.
        progress: what notes are told to.
    """
    chosen = loader.shuffle_samples(split.size, seed, 0)[:most]
    count = max(cka.FEWEST, min(BATCH, split.count_at_once))
    chosen = chosen[: len(chosen) // count * count or len(chosen)]  # a small batch scatters most
    drawn = arrays.Calibration(split.dataset, split.rows, chosen, seed)

    def batches(size: int) -> Iterator[Inputs]:
        for inputs, _ in drawn.batches(size):
            yield tuple(torch.from_numpy(each).to(arithmetic.choose_device()) for each in inputs)

    for one, other in pairs:
        try:
            rows = cka.choose_layers(models[one], *next(batches(2)))
            columns = layers
            if columns == "auto":
                columns = cka.choose_layers(models[other], *next(batches(2)))
            alike = cka.similarity(models[one], models[other], (rows, columns), batches(count))
        except ValueError as error:
            progress.note(f"{one} and {other}: layers are not compared: {error}")
            continue
        values = [[None if math.isnan(v) else v for v in row] for row in alike.tolist()]
        yield {"one": one, "other": other, "rows": rows, "columns": columns, "cka": values}

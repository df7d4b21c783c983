"""A finished model's answers to a split."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import torch
from torch import nn

from edgekd.errors import InputError
from edgekd.field import MOST_VALUES
from edgekd.field import RaggedRows
from edgekd.learn import arithmetic
from edgekd.learn.forward_pass import Outputs
from edgekd.learn.forward_pass import as_tuple
from edgekd.task import MOST_OUTPUT_VALUES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.dataset import Dataset
    from edgekd.field import Rows

MOST_SAMPLES = 256
"""That are answered at once."""


def batch_size(values: int, outputs: int = 0) -> int:
    """Return how many samples of so many input values, and output values, a finished model answers at once."""
    most = min(MOST_SAMPLES, MOST_OUTPUT_VALUES // max(1, outputs))
    if arithmetic.choose_device().type == "cpu":
        most = min(most, MOST_VALUES // max(1, values))
    return max(1, most)


def count_values(dataset: Dataset, rows: Mapping[str, Rows]) -> int:
    """Input values of one sample, of fields of several lengths those of the longest."""
    one = {name: each[np.array([_longest(each)])] for name, each in rows.items()}
    return sum(each.size for each in dataset.prepare_inputs(one).values())


def _longest(rows: Rows) -> int:
    return int(rows.lengths.argmax()) if isinstance(rows, RaggedRows) else 0


def compute_outputs(
    model: nn.Module,
    rows: Mapping[str, Rows],
    dataset: Dataset,
    names: Sequence[str],
    *,
    precision: str = "fp32",
    channels_last: bool = True,
    has_places: bool = False,
) -> dict[str, NDArray[np.float32]]:
    """The model's outputs to stored rows, in evaluation mode, without gradient.

    Args:
        model: takes the data's inputs in order.
        rows: of the inputs, [N] each.
        dataset: how rows become inputs.
        names: of the outputs, in the model's order.
        precision: of the forward pass.
        channels_last: whether images lie so in memory.
        has_places: whether outputs are as long as their inputs: then all rows are filled up to the longest of them, as
            their targets are.

    Returns:
        By name, [N, ...].

    Raises:
        InputError: if the model gives another number of outputs, or of several sizes.
    """
    model.eval()
    size, total = (
        batch_size(count_values(dataset, rows)),
        len(next(iter(rows.values()))),
    )
    parts = []
    whole = dataset.prepare_inputs(rows) if has_places else None
    for start in range(0, total, size):
        stop = start + size
        if whole is None:
            some = {name: rows[name][start:stop] for name in dataset.inputs}
            inputs = tuple(dataset.prepare_inputs(some).values())
        else:
            inputs = tuple(each[start:stop] for each in whole.values())
        parts.append(answer_batch(model, inputs, precision, channels_last))
    if len(parts[0]) != len(names):
        raise InputError(f"model: got {len(parts[0])} outputs, want {', '.join(names)}")
    try:
        joined = [
            each[0] if len(each) == 1 else np.concatenate(each) for each in zip(*parts, strict=True)
        ]
    except ValueError as error:
        raise InputError(f"model: got outputs of several sizes: {error}") from error
    return dict(zip(names, joined, strict=True))


def answer_batch(
    model: nn.Module,
    inputs: tuple[Any, ...],
    precision: str,
    channels_last: bool,
) -> tuple[NDArray[np.float32], ...]:
    """A model's outputs to what it takes, without gradient, in float32."""
    outputs = run_batch(model, inputs, precision, channels_last)
    return tuple(each.float().cpu().numpy() for each in outputs)


def run_batch(
    model: nn.Module,
    inputs: tuple[Any, ...],
    precision: str,
    channels_last: bool,
) -> Outputs:
    """The same as tensors, where and in what precision the model gives them."""
    where = next(model.parameters()).device
    tensors = [arithmetic.to_tensor(each, where) for each in inputs]
    tensors = [arithmetic.to_memory_format(each, channels_last) for each in tensors]
    dtype = arithmetic.AUTOCAST[precision]
    with torch.no_grad(), torch.autocast(where.type, dtype, enabled=dtype is not None):
        return as_tuple(model(*tensors))

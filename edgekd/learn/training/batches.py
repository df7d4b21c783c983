"""A batch as the loop sees it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable

import numpy as np

from edgekd.errors import InputError
from edgekd.learn import arithmetic
from edgekd.learn.data.loader import Batch
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import Training


def require_full_batch(batch_size: int, samples: int) -> None:
    """Refuse a batch that no epoch fills.

    Raises:
        InputError: if there are fewer samples.
    """
    if batch_size > samples:
        raise InputError(
            f"train.batch_size: got {batch_size}, want at most the {samples} training samples",
            hint=f"write batch_size: {_fitting_size(samples)} in that train",
        )


def fit_batch(
    training: Training, samples: int, note: Callable[[str], None] = lambda text: None
) -> Training:
    """`training` itself, or with a smaller batch where nobody said one and the usual one is more than there are samples.

    Args:
        training: of a recipe; what it says itself stays.
        samples: of the training split.
        note: told of a smaller batch.
    """
    usual = training.batch_size
    if "batch_size" in training.model_fields_set or usual <= samples:
        return training
    size = _fitting_size(samples)
    note(f"batch_size: {size}, for the usual {usual} is more than the {samples} training samples")
    return training.model_copy(update={"batch_size": size})


def _fitting_size(samples: int) -> int:
    """A power of two of which an epoch of that many samples has four batches or more, where there are so many."""
    return int(2 ** max(0, (samples // 4).bit_length() - 1))


def to_tensors(batch: Batch, resolved: Arithmetic, epoch: float, epochs: int) -> TensorBatch:
    """A batch on the training device, images in the memory order of the arithmetic."""
    device = arithmetic.choose_device()
    inputs = [arithmetic.to_tensor(each, device) for each in batch.inputs]
    return TensorBatch(
        batch.indices,
        batch.view,
        tuple(arithmetic.to_memory_format(each, resolved.channels_last) for each in inputs),
        {name: arithmetic.to_tensor(each, device) for name, each in batch.targets.items()},
        epoch,
        epochs,
        batch.targets if _are_arrays(batch.targets.values()) else None,
        batch.inputs if _are_arrays(batch.inputs) else None,
    )


def _are_arrays(values: Iterable[object]) -> bool:
    return all(isinstance(each, np.ndarray) for each in values)

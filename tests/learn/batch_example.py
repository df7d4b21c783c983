"""Batches of labelled images, for tests of what takes them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekd.learn.data.loader import Batch
from edgekd.learn.method.scheme import TensorBatch


def tensor_batch(
    images: Tensor,
    labels: Tensor,
    indices: NDArray[np.int64] | None = None,
    epoch: float = 0.0,
    epochs: int = 1,
) -> TensorBatch:
    """Images [B, C, H, W] and their labels through view 0; numbered from 0 unless `indices` says."""
    numbers = np.arange(len(images)) if indices is None else indices
    return TensorBatch(numbers, 0, (images,), {"labels": labels}, epoch, epochs)


def as_tensors(batch: Batch, epoch: float = 0.0, epochs: int = 1) -> TensorBatch:
    """A batch of the loader as contiguous tensors on the CPU."""
    inputs = tuple(torch.from_numpy(each).contiguous() for each in batch.inputs)
    targets = {name: torch.from_numpy(each) for name, each in batch.targets.items()}
    return TensorBatch(batch.indices, batch.view, inputs, targets, epoch, epochs)


def images(batch: Batch) -> NDArray[np.float32]:
    """[B, H, W, C]."""
    return batch.inputs[0].transpose(0, 2, 3, 1)

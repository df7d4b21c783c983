"""A batch as the loop sees it."""

from __future__ import annotations

import torch

from edgekd.errors import InputError
from edgekd.learn.data.loader import Batch
from edgekd.learn.scheme import Seen
from edgekd.learn.settings import Resolved
from edgekd.learn.training import arithmetic


def want_batch(batch_size: int, samples: int) -> None:
    """Refuse a batch that no epoch fills.

    Raises:
        InputError: if there are fewer samples.
    """
    if batch_size > samples:
        raise InputError(
            f"train.batch_size: got {batch_size}, want at most the {samples} training samples"
        )


def shown(batch: Batch, resolved: Resolved, epoch: float, epochs: int) -> Seen:
    """A batch as tensors on the training device, in the memory order of the arithmetic."""
    device = arithmetic.device()
    images = torch.from_numpy(batch.images).permute(0, 3, 1, 2).to(device)
    images = arithmetic.laid_out(images, resolved.channels_last)
    return Seen(batch, images, torch.from_numpy(batch.labels).to(device), epoch, epochs)

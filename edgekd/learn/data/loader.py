"""Batches of views, in an order that depends on (seed, epoch) alone."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd.learn.data import views as augment
from edgekd.preprocessing import Preprocessing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.learn.settings import Views


class Batch(NamedTuple):
    """Samples seen through one view."""

    indices: NDArray[np.int64]
    """[B], into the training split."""
    view: int
    inputs: tuple[NDArray[Any], ...]
    """What the network takes: images float32 [B, C, H, W], normalised."""
    targets: dict[str, NDArray[Any]]
    """``labels``: class indices [B]; probabilities [B, C] where views mix samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The training split and how it is looked at."""

    images: NDArray[np.uint8]
    """[N, H, W, C]; may be a memory map."""
    labels: NDArray[np.int64]
    """[N]."""
    classes: int
    preprocessing: Preprocessing
    views: Views
    seed: int

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: NDArray[np.int64], view: int) -> Batch:
        """The samples at `indices` [B] through view number `view`."""
        images = self._view(indices, view)
        labels: NDArray[np.int64] | NDArray[np.float32] = self.labels[indices]
        if self.views.mixup or self.views.cutmix:
            others = augment.partners(len(self), self.seed, indices, view)
            sides = (images.shape[1], images.shape[2])
            mask = augment.mix_masks(self.views, sides, self.seed, indices, view)
            images = images * mask + self._view(others, view) * (1 - mask)
            share = mask.mean((1, 2))
            onehot = np.eye(self.classes, dtype=np.float32)
            labels = onehot[labels] * share + onehot[self.labels[others]] * (1 - share)
        return Batch(indices, view, (images.transpose(0, 3, 1, 2),), {"labels": labels})

    def _view(self, indices: NDArray[np.int64], view: int) -> NDArray[np.float32]:
        pixels = augment.shifted(self.images[indices], self.views, self.seed, indices, view)
        scale, shift = self.preprocessing.scale_and_shift()
        images = np.multiply(pixels, scale, dtype=np.float32)
        images += shift
        if self.views.affine is not None:
            images = augment.warped(images, self.views.affine, self.seed, indices, view)
        if self.views.erase:
            images = augment.erased(images, self.views.erase, self.seed, indices, view)
        return images


def order(samples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The permutation of the samples in one epoch; a function of (seed, epoch) alone."""
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(samples)


def epoch_batches(
    samples: Samples, *, epoch: int, batch_size: int, seed: int, start: int, workers: int
) -> Iterator[Batch]:
    """The whole batches of one epoch from number `start` on, prepared by `workers` threads."""
    permutation = order(len(samples), seed, epoch)
    view = epoch % samples.views.count
    chosen = [
        permutation[at : at + batch_size]
        for at in range(0, len(samples) - batch_size + 1, batch_size)
    ][start:]
    return ahead([functools.partial(samples.batch, rows, view) for rows in chosen], workers)


def ahead(jobs: list[Callable[[], Batch]], workers: int) -> Iterator[Batch]:
    """The jobs' results in order, computed a little ahead by `workers` threads (0: in this one)."""
    if not workers:
        yield from (job() for job in jobs)
        return
    pending: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for job in jobs:
                pending.append(pool.submit(job))
                if len(pending) > 2 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()

"""Batches of views, in an order that depends on (seed, epoch) alone."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

import numpy as np

from edgekd.fields.image import Image
from edgekd.fields.label import Label
from edgekd.learn import views
from edgekd.learn.data import kinds
from edgekd.learn.formats.encoded_images import EncodedImages
from edgekd.learn.formats.encoded_images import count_threads
from edgekd.learn.parallel import ranks
from edgekd.learn.view import View
from edgekd.learn.views.masking import mask_samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.dataset import Dataset
    from edgekd.field import Rows
    from edgekd.learn.view_settings import Views


class Batch(NamedTuple):
    """Samples seen through one view."""

    indices: NDArray[np.int64]
    """[B], into the training split."""
    view: int
    inputs: tuple[Any, ...]
    """What the network takes, in its order, arrays: of an image float32 [B, C, H, W], normalised; or `PendingImages`,
    which `arithmetic.to_tensor` finishes where the network is."""
    targets: dict[str, NDArray[Any]]
    """By name; of one class a sample indices [B], or probabilities [B, C] where views mix samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The training split and how it is looked at."""

    dataset: Dataset
    rows: Mapping[str, Rows]
    """Of every field, as they are stored; may be memory maps."""
    views: Views
    seed: int

    def __len__(self) -> int:
        return len(next(iter(self.rows.values())))

    @property
    def classes(self) -> int:
        """How many there are; 0 where targets are no classes."""
        return self.dataset.sizes().get("classes", 0)

    @property
    def image(self) -> Image:
        """What methods for images ask of the only input.

        Raises:
            ValueError: if it is no image.
        """
        return kinds.find_image(self.dataset)[1]

    @property
    def labels(self) -> NDArray[np.int64]:
        """The class of each sample, [N], for methods that sort samples by it.

        Raises:
            ValueError: if no target is one class a sample.
        """
        return np.asarray(self.rows[kinds.find_label(self.dataset)[0]])

    @property
    def needed_workers(self) -> int:
        """Threads without which a training would wait for its batches: one a core, within limits, where images are decoded."""
        decoded = any(isinstance(rows, EncodedImages) for rows in self.rows.values())
        return count_threads() if decoded else 0

    @property
    def is_decoded_alike(self) -> bool:
        """Whether samples are decoded, and any share of a batch has the shapes of any other."""
        kinds_alike = (*self.dataset.inputs.values(), *self.dataset.targets.values())
        return self.needed_workers > 0 and all(isinstance(e, Image | Label) for e in kinds_alike)

    def batch(self, indices: NDArray[np.int64], view: int, *, is_pending: bool = False) -> Batch:
        """The samples at `indices` [B] through view number `view`; pending, an accelerator does its part of it later."""
        this = View(self.views, self.seed, indices, view, len(self))
        masked = mask_samples(self.dataset, self.rows, indices, self.seed, view)
        inputs: dict[str, Any] = {}
        for name, field in self.dataset.inputs.items():
            if name in masked:
                inputs |= field.prepare(name, masked[name])
            else:
                inputs |= views.view_field(
                    name, field, self.rows[name], this, is_pending=is_pending
                )
        return Batch(indices, view, tuple(inputs.values()), self._targets(this, masked))

    def _targets(self, view: View, masked: Mapping[str, Rows]) -> dict[str, NDArray[Any]]:
        targets: dict[str, NDArray[Any]] = {}
        share = views.find_mix_share(dict(self.dataset.inputs), view) if view.mixes else None
        for name, field in self.dataset.targets.items():
            rows = self.rows[name]
            if name in masked:
                targets |= field.prepare(name, masked[name])
            elif share is None:
                targets |= views.view_field(name, field, rows, view)
            else:
                targets |= field.mix(name, rows[view.indices], rows[view.partners()], share)
        return targets


def shuffle_samples(samples: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The permutation of the samples in one epoch; a function of (seed, epoch) alone."""
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(samples)


def epoch_batches(
    samples: Samples,
    *,
    epoch: int,
    batch_size: int,
    seed: int,
    start: int,
    workers: int,
    is_pending: bool = False,
) -> Iterator[Batch]:
    """The whole batches of one epoch from number `start` on, prepared by `workers` threads; by one a core where
    images are decoded and nobody says how many. Several ranks decode a share of a batch each, and give it to the others;
    other batches may be `is_pending`, so that an accelerator finishes them."""
    permutation = shuffle_samples(len(samples), seed, epoch)
    view = epoch % samples.views.count
    chosen = [
        permutation[at : at + batch_size]
        for at in range(0, len(samples) - batch_size + 1, batch_size)
    ][start:]
    is_shared = ranks.count() > 1 and samples.is_decoded_alike
    own = [np.split(rows, ranks.count())[ranks.rank()] for rows in chosen] if is_shared else chosen
    make = functools.partial(samples.batch, is_pending=is_pending and not is_shared)
    jobs = [functools.partial(make, rows, view) for rows in own]
    prepared = prefetch(jobs, workers or samples.needed_workers)
    return map(_gather_batch, chosen, prepared) if is_shared else prepared


def _gather_batch(indices: NDArray[np.int64], share: Batch) -> Batch:
    """The batch at `indices` [B] of which each rank has prepared a share."""
    inputs = tuple(map(ranks.gather_array, share.inputs))
    targets = {name: ranks.gather_array(each) for name, each in share.targets.items()}
    return Batch(indices, share.view, inputs, targets)


def prefetch(jobs: Sequence[Callable[[], Batch]], workers: int) -> Iterator[Batch]:
    """The jobs' results in order, computed ahead by `workers` threads (0: in this one), at most two more than those."""
    if not workers:
        yield from (job() for job in jobs)
        return
    pending: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for job in jobs:
                pending.append(pool.submit(job))
                if len(pending) > workers + 1:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()

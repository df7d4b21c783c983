"""The student teaches itself across samples of one class."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch import nn

from edgekd.learn.method.readout import require_unmixed
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.scheme import label_signals
from edgekd.learn.view import draw_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.learn.data.loader import Samples

CLASSMATE = 64
"""Which of a sample's random numbers: far behind those that make its views."""


def cs_kd(samples: Samples) -> Scheme:
    """Class-wise self-distillation: what the student says of another sample of the class teaches it.

    Yun et al. 2020 (arXiv:2003.13964, sec. 2). The other sample is a pure function of (seed, epoch,
    sample), drawn anew each epoch and looked at through the same view. It costs a second forward pass, without
    gradient, and the making of its images, which workers do not do ahead. In training mode batch norm
    hears these images, too, as in the authors' code. Recipes: cross-entropy 1, kd 1 at temperature 4.

    Args:
        samples: the training split.

    Returns:
        The student's lesson; nothing learns beside it.

    Raises:
        ValueError: if views mix samples.
    """
    require_unmixed(samples)
    book = index_classes(samples.labels)

    def lessons(student: nn.Module, batch: TensorBatch) -> list[Lesson]:
        others = draw_classmates(book, samples.seed, int(batch.epoch), batch.indices)
        inputs = samples.batch(others, batch.view).inputs
        partners = [
            torch.from_numpy(each).to(like.device, memory_format=_order_of(like))
            for each, like in zip(inputs, batch.inputs, strict=True)
        ]
        # The partners go first: who reads the student's layers is to find the batch's own there.
        with torch.no_grad():
            told = student(*partners)
        answers = {"student_logits": student(*batch.inputs), "teacher_logits": told}
        return [Lesson({**answers, **label_signals(batch)})]

    return Scheme(lessons, nn.ModuleDict())


class ClassIndex(NamedTuple):
    """The samples of each class."""

    order: NDArray[np.int64]
    """[N], samples sorted by class."""
    place: NDArray[np.int64]
    """[N], of each sample in `order`."""
    first: NDArray[np.int64]
    """[N], where its class begins in `order`."""
    size: NDArray[np.int64]
    """[N], of its class."""


def index_classes(labels: NDArray[np.int64]) -> ClassIndex:
    """Sort samples with these labels [N] by class."""
    order = np.argsort(labels, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    first, end = (np.searchsorted(labels[order], labels, side) for side in ("left", "right"))
    return ClassIndex(order, place, first, end - first)


def draw_classmates(
    book: ClassIndex, seed: int, epoch: int, indices: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Draw another sample of its class for each sample; itself only where it is alone there.

    Args:
        book: of all samples.
        seed: of the run.
        epoch: its number.
        indices: [B].

    Returns:
        [B], uniform over the rest of the class; a sample's does not depend on the batch it is in.
    """
    first, size = book.first[indices], book.size[indices]
    steps = 1 + (draw_numbers(seed, indices, epoch, CLASSMATE) * (size - 1)).astype(np.int64)
    return np.asarray(book.order[first + (book.place[indices] - first + steps) % size])


def _order_of(tensor: Tensor) -> torch.memory_format:
    """Its memory order; that of the loop."""
    last = tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format

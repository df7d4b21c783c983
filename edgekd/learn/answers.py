"""A finished model's answers: over a split, and over every view of the training split."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import torch
from torch import nn

from edgekd.field import MOST_VALUES
from edgekd.learn import arithmetic
from edgekd.learn.data.loader import Samples
from edgekd.learn.settings import Resolved
from edgekd.preprocessing import Preprocessing
from edgekd.progress import Progress
from edgekd.tasks import classification

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_IMAGES = 256


def batch_size(shape: tuple[int, ...]) -> int:
    """How many images of `shape`, (H, W, C), a finished model answers at once."""
    if arithmetic.device().type != "cpu":
        return MOST_IMAGES
    return max(1, min(MOST_IMAGES, MOST_VALUES // math.prod(shape)))


def logits(
    model: nn.Module,
    images: NDArray[np.uint8],
    preprocessing: Preprocessing,
    *,
    precision: str = "fp32",
    channels_last: bool = True,
) -> NDArray[np.float32]:
    """The model's answers [N, C] to images [N, H, W, C], in evaluation mode, without gradient."""
    scale, shift = preprocessing.scale_and_shift()
    return scaled_logits(
        model, images, scale, shift, precision=precision, channels_last=channels_last
    )


def scaled_logits(
    model: nn.Module,
    images: NDArray[np.uint8],
    scale: NDArray[np.float32],
    shift: NDArray[np.float32],
    *,
    precision: str = "fp32",
    channels_last: bool = True,
) -> NDArray[np.float32]:
    """As `logits`, with pixels taken to inputs by ``pixel * scale + shift`` [C]."""
    model.eval()
    answers = [
        _answer(model, ((part * scale + shift).transpose(0, 3, 1, 2),), precision, channels_last)
        for part in _parts(images)
    ]
    return np.concatenate(answers)


def scorer(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    preprocessing: Preprocessing,
    precision: str = "fp32",
) -> Callable[[nn.Module], float]:
    """A function from a model to its top-1 accuracy on a split."""

    def score(model: nn.Module) -> float:
        return classification.top1_accuracy(
            logits(model, images, preprocessing, precision=precision), labels
        )

    return score


def write_knowledge(
    teacher: nn.Module,
    samples: Samples,
    path: Path,
    resolved: Resolved,
    progress: Progress,
) -> None:
    """Fill `path` with the teacher's logits, npy float32 [views, samples, classes].

    Every view that training will show is answered once; later epochs, methods and students read it.
    """
    views, total = samples.views.count, len(samples)
    size = batch_size(samples.images.shape[1:])
    out = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.float32, shape=(views, total, samples.classes)
    )
    teacher.eval()
    with arithmetic.deterministic(0, resolved.threads):
        for view in range(views):
            for start in range(0, total, size):
                indices = np.arange(start, min(start + size, total))
                inputs = samples.batch(indices, view).inputs
                out[view, indices] = _answer(
                    teacher, inputs, resolved.precision, resolved.channels_last
                )
                text = f"view {view + 1}/{views}"
                progress.update(view * total + int(indices[-1]) + 1, views * total, text)
    out.flush()


def _parts(images: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    size = batch_size(images.shape[1:])
    return (images[start : start + size] for start in range(0, len(images), size))


def _answer(
    model: nn.Module, inputs: tuple[NDArray[Any], ...], precision: str, channels_last: bool
) -> NDArray[np.float32]:
    where = next(model.parameters()).device
    tensors = [torch.from_numpy(each).to(where) for each in inputs]
    tensors = [arithmetic.to_memory_format(each, channels_last) for each in tensors]
    dtype = arithmetic.AUTOCAST[precision]
    with torch.no_grad(), torch.autocast(where.type, dtype, enabled=dtype is not None):
        return np.asarray(model(*tensors).float().cpu().numpy())

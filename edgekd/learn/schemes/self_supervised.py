"""A live teacher that also shows, by rotated images, what it makes of their likeness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import widen
from edgekd.learn.method.pairing import find_stages
from edgekd.learn.method.pretext import rotate
from edgekd.learn.method.pretext import rotation_origins
from edgekd.learn.method.pretext import select_best
from edgekd.learn.method.pretext import similarities
from edgekd.learn.method.pretext import transfer_loss
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.scheme import label_signals
from edgekd.learn.method.taps import Taps
from edgekd.learn.method.taps import record_shapes

if TYPE_CHECKING:
    from edgekd.learn.data.loader import Samples
    from edgekd.settings import Fraction
    from edgekd.settings import NonNegative
    from edgekd.settings import Positive


def self_supervised(
    student: nn.Module,
    teacher: nn.Module,
    samples: Samples,
    device: torch.device,
    *,
    transformed_weight: NonNegative = 2.7,
    similarity_weight: NonNegative = 10.0,
    transformed_temperature: Positive = 4.0,
    similarity_temperature: Positive = 0.5,
    kept_share: Fraction = 0.75,
    head_share: Fraction = 0.1,
) -> Scheme:
    """Of Xu et al. 2020 (arXiv:2006.07114, sec. 3.2 and 3.3): SSKD.

    Both networks see each image upright and turned by 90, 180 and 270 degrees. The recipe's losses compare
    the upright ones. Two terms are the scheme's own: soft targets of the turned ones, and the KL between
    softened cosines of turned and upright images, of what small heads make of the embeddings. Of the turned
    images whose origin the teacher misses, those it misses least are kept.

    The authors train the teacher's head before, on the task of naming the origin; here it learns that in the
    same steps, from its own term, which reaches neither network. The similarities are transferred once
    `head_share` of all epochs is over.

    Args:
        student: the model that is trained.
        teacher: in evaluation mode; it stays as it is.
        samples: the training split; its images are square.
        device: where the heads are.
        transformed_weight: of the soft targets of turned images.
        similarity_weight: of the transferred similarities.
        transformed_temperature: of those soft targets.
        similarity_temperature: of the cosines.
        kept_share: of the turned images whose origin the teacher misses.
        head_share: of all epochs, in which only the teacher's head learns of the likeness.

    Returns:
        A scheme of one lesson; the two heads are its companions.

    Raises:
        ValueError: if the images are not square, or no layer gives the logits.
    """
    image = samples.image
    images = torch.zeros(2, image.channels, image.height, image.width, device=device)
    rotate(images)
    readers = [_Reader(model, images) for model in (student, teacher)]
    heads = nn.ModuleDict(
        {"student_head": _head(readers[0].width), "teacher_head": _head(readers[1].width)}
    ).to(device)

    def lessons(learner: nn.Module, batch: TensorBatch) -> Sequence[Lesson]:
        count, views = len(batch.indices), torch.cat([batch.inputs[0], rotate(batch.inputs[0])])
        logits, features = readers[0].read(learner, views)
        with torch.no_grad():
            told, known = readers[1].read(teacher, views)
        told, wanted = widen(told), rotation_origins(count, views.device)
        ours, theirs = (
            _likeness(heads[name], side, count)
            for name, side in (("student_head", features), ("teacher_head", known))
        )
        kept = select_best(theirs.detach(), wanted, kept_share)
        begun = batch.epoch >= head_share * batch.epochs
        every = torch.ones_like(kept)
        own = {
            "pretext": F.cross_entropy(theirs, wanted),
            "transformed": transformed_weight
            * transfer_loss(widen(logits[count:]), told[count:], every, transformed_temperature),
            "similarity": (similarity_weight if begun else 0.0)
            * transfer_loss(ours, theirs, kept, similarity_temperature),
        }
        signals = {"student_logits": logits[:count], "teacher_logits": told[:count]}
        return (Lesson({**signals, **label_signals(batch)}, own=own),)

    return Scheme(lessons, heads)


class _Reader:
    """Reads logits and what enters the layer that gives them."""

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        self.place = find_stages(model, images).classifier
        self.width = math.prod(record_shapes(model, [self.place], images)[self.place][1:])
        self.taps = Taps(model, [self.place])

    def read(self, model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
        """`model` is the one that was looked at, or wraps it."""
        with self.taps as values:
            logits: Tensor = model(images)
        return logits, values[self.place].flatten(1)


def _head(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))


def _likeness(head: nn.Module, features: Tensor, batch: int) -> Tensor:
    made = head(features)
    return similarities(made[batch:], made[:batch])

"""DeepInversion: pixels are descended until the teacher is sure and its batch norms recognise them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import NamedTuple

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.synthesis import losses
from edgekd.learn.synthesis.augmentation import mirror
from edgekd.learn.synthesis.augmentation import roll
from edgekd.learn.synthesis.hooks import find_batch_norms
from edgekd.learn.synthesis.hooks import freeze_teacher
from edgekd.learn.synthesis.hooks import record_teacher
from edgekd.learn.synthesis.pixel_range import pixel_range
from edgekd.learn.synthesis.request import SynthesisRequest
from edgekd.learn.synthesis.request import require_finite_images

if TYPE_CHECKING:
    from edgekd.settings import Count
    from edgekd.settings import Fraction
    from edgekd.settings import NonNegative
    from edgekd.settings import Positive

SHOWN_EVERY = 10
"""Steps."""


class _Weights(NamedTuple):
    feature: float
    total_variation: float
    length: float


def deepinversion(
    teacher: nn.Module,
    wanted: SynthesisRequest,
    *,
    steps: Count = 1000,
    batch_size: Count = 256,
    learning_rate: Positive = 0.1,
    feature: NonNegative = 10.0,
    total_variation: NonNegative = 1e-3,
    length: NonNegative = 1e-5,
    jitter: Fraction = 0.0625,
    flip: bool = False,
) -> Iterator[Tensor]:
    """Images from noise by Adam on their pixels (Yin et al. 2020, arXiv:1912.08795, sec. 3.2).

    Cross-entropy to a class drawn for each image, plus `feature` times the distance of what the batch
    norms see to what they saw in training, plus the priors of a smooth and short image. All classes are
    as common as can be. The term of sec. 3.3, which seeks images on which a student disagrees, is left out:
    no student exists yet when images are made.

    Args:
        teacher: logits [B, classes] of images [B, C, H, W]; it is frozen, in evaluation mode.
        wanted: how many images of what kind.
        steps: of Adam, for each batch; its rate falls to 0 as a cosine.
        batch_size: images made together, at most; the batch norms' statistics are a batch's.
        learning_rate: Adam's at the start, in normalised pixels.
        feature: weight of the batch norms' distance; the authors' for 32x32. On digits of 8x8, 0.1 leaves
            the teacher surer of the images (0.98 against 0.7) and teaches a student as well.
        total_variation: weight of the neighbours' differences.
        length: weight of the images' norm.
        jitter: how far a step rolls the images at most, along both axes, as a part of the shorter side;
            the authors' 2 pixels of 32.
        flip: whether every other step, at random, mirrors the images; not for letters or digits.

    Returns:
        Batches [b, C, H, W] on `wanted.device`, without gradient.

    Raises:
        ValueError: if the teacher has no batch norms and `feature` is above 0, or images diverge.
    """
    teacher = freeze_teacher(teacher, wanted.device)
    if feature and not find_batch_norms(teacher):
        raise ValueError(
            "deepinversion: got a teacher without batch normalization, whose statistics stand for the "
            "data; want dafl or cmi, or feature: 0"
        )
    weights = _Weights(feature, total_variation, length)
    moves = _Moves(wanted.pixels(jitter), flip, wanted.generator())
    return require_finite_images(
        _batches(teacher, wanted, steps, batch_size, learning_rate, weights, moves)
    )


class _Moves(NamedTuple):
    """Small changes that must not matter to the teacher."""

    jitter: int
    flip: bool
    random: torch.Generator

    def moved(self, images: Tensor) -> Tensor:
        """The images rolled, and mirrored now and then."""
        images = roll(images, self.jitter, self.random)
        return mirror(images, self.random) if self.flip else images


def _batches(
    teacher: nn.Module,
    wanted: SynthesisRequest,
    steps: int,
    batch_size: int,
    learning_rate: float,
    weights: _Weights,
    moves: _Moves,
) -> Iterator[Tensor]:
    low, high = (one.to(wanted.device) for one in pixel_range(wanted.image))
    targets = wanted.targets(moves.random, batch_size)
    for number, classes in enumerate(targets):
        noise = torch.randn((len(classes), *wanted.shape), generator=moves.random)
        images = noise.to(wanted.device).clamp(low, high).requires_grad_()
        classes = classes.to(wanted.device)
        optimizer = torch.optim.Adam([images], lr=learning_rate, betas=(0.5, 0.9))
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = (
                learning_rate * (1 + math.cos(math.pi * step / steps)) / 2
            )
            loss = _loss(teacher, moves.moved(images), classes, weights)
            (images.grad,) = torch.autograd.grad(loss, images)
            optimizer.step()
            with torch.no_grad():
                images.clamp_(low, high)
            if step % SHOWN_EVERY == SHOWN_EVERY - 1 or step == steps - 1:
                text = f"batch {number + 1}/{len(targets)}, loss {float(loss.detach()):.3f}"
                wanted.progress.update(number * steps + step + 1, len(targets) * steps, text)
        yield images


def _loss(teacher: nn.Module, images: Tensor, classes: Tensor, weights: _Weights) -> Tensor:
    told = record_teacher(teacher, images)
    loss = F.cross_entropy(told.logits.float(), classes)
    if weights.feature:
        loss = loss + weights.feature * losses.batch_norm_statistics(told.moments)
    if weights.total_variation:
        loss = loss + weights.total_variation * losses.total_variation(images)
    if weights.length:
        loss = loss + weights.length * losses.length(images)
    return loss

"""CMI: each batch has a generator of its own, pushed away from all that was made before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import NamedTuple

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.synthesis import losses
from edgekd.learn.synthesis.augmentation import roll
from edgekd.learn.synthesis.generator import generator
from edgekd.learn.synthesis.hooks import TeacherRecord
from edgekd.learn.synthesis.hooks import freeze_teacher
from edgekd.learn.synthesis.hooks import record_teacher
from edgekd.learn.synthesis.request import SynthesisRequest
from edgekd.learn.synthesis.request import require_finite_images
from edgekd.learn.synthesis.request import seed_torch

if TYPE_CHECKING:
    from edgekd.settings import Count
    from edgekd.settings import Fraction
    from edgekd.settings import NonNegative
    from edgekd.settings import Positive
    from edgekd.settings import Whole

SHOWN_EVERY = 10
"""Steps."""
EMBEDDED = 128
"""Numbers in which images are compared."""


class _Weights(NamedTuple):
    one_hot: float
    feature: float
    contrast: float


class _Size(NamedTuple):
    steps: int
    batch_size: int
    noise: int
    width: int
    memory: int
    jitter: int


def cmi(
    teacher: nn.Module,
    wanted: SynthesisRequest,
    *,
    steps: Count = 500,
    batch_size: Count = 256,
    learning_rate: Positive = 1e-3,
    noise: Count = 256,
    width: Count = 64,
    one_hot: NonNegative = 1.0,
    feature: NonNegative = 1.0,
    contrast: NonNegative = 0.8,
    temperature: Positive = 0.1,
    memory: Whole = 4096,
    jitter: Fraction = 0.0625,
) -> Iterator[Tensor]:
    """Contrastive model inversion (Fang et al. 2021, arXiv:2105.08584, sec. 3).

    For each batch, noise and a fresh generator are trained so that the teacher names the drawn classes, its
    batch norms recognise the images, and a head on the teacher's channel means can tell each image from
    all others. The memory holds those means of images made before, not the images. Without batch norms
    their term is left out, and the head reads the embedding. The two views of a
    batch are two rolls. The paper's adversarial term, a student's disagreement, is left out: no student
    exists yet when images are made.

    Args:
        teacher: logits [B, classes] of images [B, C, H, W]; it is frozen, in evaluation mode.
        wanted: how many images of what kind.
        steps: of Adam, for each batch.
        batch_size: images made together, at most.
        learning_rate: Adam's, of generator, noise and head.
        noise: numbers an image is made from.
        width: of the generator, in channels.
        one_hot: weight of the cross-entropy to the drawn classes.
        feature: weight of the batch norms' distance.
        contrast: weight of being told apart.
        temperature: of the cosines that are compared.
        memory: how many earlier images are remembered; the oldest go first.
        jitter: how far a view is rolled at most, along both axes, as a part of the shorter side.

    Returns:
        Batches [b, C, H, W] on `wanted.device`, without gradient.

    Raises:
        ValueError: if a side is shorter than 4, the teacher has nothing to compare images by, or images
            diverge.
    """
    teacher = freeze_teacher(teacher, wanted.device)
    with torch.no_grad():
        blank = torch.zeros(2, *wanted.shape, device=wanted.device)
        features = _features(record_teacher(teacher, blank)).shape[1]
    weights = _Weights(one_hot, feature, contrast)
    size = _Size(steps, batch_size, noise, width, memory, wanted.pixels(jitter))
    maker = _Maker(teacher, wanted, weights, size, learning_rate, temperature, features)
    return require_finite_images(maker.batches())


class _Maker:
    """What lasts from batch to batch: the head, its optimizer, the memory, the randomness."""

    def __init__(
        self,
        teacher: nn.Module,
        wanted: SynthesisRequest,
        weights: _Weights,
        size: _Size,
        learning_rate: float,
        temperature: float,
        features: int,
    ) -> None:
        self.teacher, self.wanted, self.weights, self.size = teacher, wanted, weights, size
        self.learning_rate, self.temperature = learning_rate, temperature
        self.random = wanted.generator()
        with seed_torch(wanted.seed):
            head = (nn.Linear(features, EMBEDDED), nn.ReLU(), nn.Linear(EMBEDDED, EMBEDDED))
            self.head = nn.Sequential(*head).to(wanted.device)
        self.learns_head = torch.optim.Adam(self.head.parameters(), lr=learning_rate)
        self.memory = torch.zeros(0, features, device=wanted.device)

    def batches(self) -> Iterator[Tensor]:
        """All batches, each remembered once it is made."""
        targets = self.wanted.targets(self.random, self.size.batch_size)
        for number, classes in enumerate(targets):
            images = self.batch(number, len(targets), classes.to(self.wanted.device))
            with torch.no_grad():
                means = _features(record_teacher(self.teacher, images))
            kept = torch.cat((means, self.memory))
            self.memory = kept[: self.size.memory]
            yield images

    def batch(self, number: int, total: int, classes: Tensor) -> Tensor:
        """Images of `classes` [B] from a fresh generator and noise that learns with it."""
        size, device = self.size, self.wanted.device
        with seed_torch(self.wanted.seed + number + 1):
            made = generator(self.wanted.image, noise=size.noise, width=size.width)
        made.to(device)
        drawn = torch.randn(len(classes), size.noise, generator=self.random)
        noise = drawn.to(device).requires_grad_()
        rate = self.learning_rate
        learns = torch.optim.Adam([*made.parameters(), noise], lr=rate, betas=(0.5, 0.999))
        for step in range(size.steps):
            loss = self.loss(made(noise), classes)
            for optimizer in (learns, self.learns_head):
                optimizer.zero_grad()
            loss.backward()
            for optimizer in (learns, self.learns_head):
                optimizer.step()
            if step % SHOWN_EVERY == SHOWN_EVERY - 1 or step == size.steps - 1:
                text = f"batch {number + 1}/{total}, loss {float(loss.detach()):.3f}"
                done = number * size.steps + step + 1
                self.wanted.progress.update(done, total * size.steps, text)
        with torch.no_grad():
            return made(noise)

    def loss(self, images: Tensor, classes: Tensor) -> Tensor:
        """All terms, weighted."""
        weights = self.weights
        told = record_teacher(self.teacher, roll(images, self.size.jitter, self.random))
        loss = weights.one_hot * F.cross_entropy(told.logits.float(), classes)
        if weights.feature and told.moments:
            loss = loss + weights.feature * losses.batch_norm_statistics(told.moments)
        if weights.contrast:
            other = self.head(
                _features(record_teacher(self.teacher, roll(images, self.size.jitter, self.random)))
            )
            one, before = self.head(_features(told)), self.head(self.memory)
            term = losses.contrast(other, one, before, temperature=self.temperature)
            loss = loss + weights.contrast * term
        return loss


def _features(told: TeacherRecord) -> Tensor:
    """[B, F], what images are compared by."""
    found = told.embedding if told.means is None else told.means
    if found is None:
        raise ValueError(
            "cmi: got a teacher without batch normalization and without a linear or convolutional "
            "classifier, want one of them to compare images by"
        )
    return found.float()

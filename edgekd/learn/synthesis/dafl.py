"""DAFL: one generator learns to make images that the teacher takes for its training data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import NamedTuple

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.synthesis import losses
from edgekd.learn.synthesis.generator import generator
from edgekd.learn.synthesis.hooks import TeacherRecord
from edgekd.learn.synthesis.hooks import freeze_teacher
from edgekd.learn.synthesis.hooks import record_teacher
from edgekd.learn.synthesis.request import SynthesisRequest
from edgekd.learn.synthesis.request import require_finite_images
from edgekd.learn.synthesis.request import seed_torch

if TYPE_CHECKING:
    from edgekd.settings import Count
    from edgekd.settings import NonNegative
    from edgekd.settings import Positive

SHOWN_EVERY = 10
"""Steps."""


class _Weights(NamedTuple):
    one_hot: float
    entropy: float
    activation: float
    feature: float


def dafl(
    teacher: nn.Module,
    wanted: SynthesisRequest,
    *,
    steps: Count = 2000,
    batch_size: Count = 256,
    learning_rate: Positive = 1e-3,
    noise: Count = 100,
    width: Count = 64,
    one_hot: NonNegative = 1.0,
    entropy: NonNegative = 5.0,
    activation: NonNegative = 0.1,
    feature: NonNegative = 0.0,
) -> Iterator[Tensor]:
    """Images of a generator trained against the teacher (Chen et al. 2019, arXiv:1904.01186, sec. 3.2).

    The teacher shall be sure of each image, name all classes alike and be excited. It needs no batch
    norms. The weights are the authors' for MNIST; for CIFAR they have one_hot 0.05, activation 0.01.

    Args:
        teacher: logits [B, classes] of images [B, C, H, W]; it is frozen, in evaluation mode.
        wanted: how many images of what kind.
        steps: of Adam.
        batch_size: images a step, and in what is given.
        learning_rate: Adam's.
        noise: numbers an image is made from.
        width: of the generator, in channels.
        one_hot: weight of being sure.
        entropy: weight of naming all classes alike.
        activation: weight of the embedding's size.
        feature: weight of DeepInversion's batch-norm distance, which the authors do not have.

    Returns:
        Batches [b, C, H, W] on `wanted.device`, without gradient.

    Raises:
        ValueError: if a side is shorter than 4, the teacher lacks what a weight asks for, or images
            diverge.
    """
    teacher = freeze_teacher(teacher, wanted.device)
    weights = _Weights(one_hot, entropy, activation, feature)
    with seed_torch(wanted.seed):
        maker = generator(wanted.image, noise=noise, width=width).to(wanted.device)
    return require_finite_images(
        _batches(teacher, wanted, maker, noise, steps, batch_size, learning_rate, weights)
    )


def _batches(
    teacher: nn.Module,
    wanted: SynthesisRequest,
    maker: nn.Module,
    noise: int,
    steps: int,
    batch_size: int,
    learning_rate: float,
    weights: _Weights,
) -> Iterator[Tensor]:
    random = wanted.generator()
    optimizer = torch.optim.Adam(maker.parameters(), lr=learning_rate)
    for step in range(steps):
        drawn = torch.randn(batch_size, noise, generator=random).to(wanted.device)
        images = maker.train()(drawn)
        loss = _loss(record_teacher(teacher, images), weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % SHOWN_EVERY == SHOWN_EVERY - 1 or step == steps - 1:
            wanted.progress.update(step + 1, steps, f"loss {float(loss.detach()):.3f}")
    # In training mode, as it learnt: its batch norms then take a whole batch's statistics.
    for size in wanted.batches(batch_size):
        drawn = torch.randn(batch_size, noise, generator=random).to(wanted.device)
        with torch.no_grad():
            yield maker(drawn)[:size]


def _loss(told: TeacherRecord, weights: _Weights) -> Tensor:
    loss = weights.one_hot * losses.one_hot(told.logits)
    loss = loss + weights.entropy * losses.information_entropy(told.logits)
    if weights.activation:
        if told.embedding is None:
            raise ValueError(
                "dafl: got a teacher without a linear or convolutional classifier, want activation: 0"
            )
        loss = loss + weights.activation * losses.activation(told.embedding)
    if weights.feature:
        loss = loss + weights.feature * losses.batch_norm_statistics(told.moments)
    return loss

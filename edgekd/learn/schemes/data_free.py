"""No training images: a generator learns beside the student what the teacher can answer.

Of the batch that the loop gives only its size is used. The recipe's losses are the student's, on images
that carry no gradient; what the generator learns from is the lesson's own. The labels are the classes that
the teacher names. Generator and student share the recipe's optimizer; the authors give the generator Adam
at 1e-3, to which ``optimizer: adamw`` with that rate comes nearest.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn

from edgekd.learn.mathematics.reversal import freeze_weights
from edgekd.learn.mathematics.reversal import reverse_gradient
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.synthesis import hooks
from edgekd.learn.synthesis import losses
from edgekd.learn.synthesis.generator import generator

if TYPE_CHECKING:
    from edgekd.learn.data.loader import Samples
    from edgekd.settings import Count
    from edgekd.settings import NonNegative

Distance = Callable[[Tensor, Tensor], Tensor]
"""Of logits [B, C] and [B, C], with a gradient to both."""


def dafl(
    teacher: nn.Module,
    samples: Samples,
    device: torch.device,
    *,
    noise: Count = 100,
    width: Count = 64,
    one_hot: NonNegative = 1.0,
    entropy: NonNegative = 5.0,
    activation: NonNegative = 0.1,
    feature: NonNegative = 0.0,
) -> Scheme:
    """The generator pleases the teacher, the student learns from what it makes.

    Chen et al. 2019 (arXiv:1904.01186, sec. 3.2 and 3.3); the student's loss is theirs with ``kd`` at
    temperature 6. The weights are the authors' for MNIST; for CIFAR they have one_hot 0.05, activation
    0.01.

    Args:
        teacher: logits [B, classes] of images [B, C, H, W]; it is frozen, in evaluation mode.
        samples: tell the images' size and preprocessing; none is looked at.
        device: where the generator lives.
        noise: numbers an image is made from.
        width: of the generator, in channels.
        one_hot: weight of the teacher being sure.
        entropy: weight of its naming all classes alike.
        activation: weight of its embedding's size.
        feature: weight of DeepInversion's batch-norm distance, which the authors do not have.

    Raises:
        ValueError: if a side is shorter than 4, or the teacher lacks what a weight asks for.
    """
    source = _Source(teacher, samples, device, noise, width)
    blank = torch.zeros(2, samples.image.channels, *source.sides, device=device)
    with torch.no_grad():
        found = hooks.record_teacher(source.teacher, blank)
    if activation and found.embedding is None:
        raise ValueError(
            "dafl: got a teacher without a linear or convolutional classifier, want activation: 0"
        )
    if feature and not found.moments:
        raise ValueError("dafl: got a teacher without batch normalization, want feature: 0")

    def lessons(student: nn.Module, batch: TensorBatch) -> Sequence[Lesson]:
        source.companions.train(student.training)
        images = source.images(batch)
        told = hooks.record_teacher(source.teacher, images)
        own = {
            "dafl-one-hot": one_hot * losses.one_hot(told.logits),
            "dafl-entropy": entropy * losses.information_entropy(told.logits),
        }
        if activation and told.embedding is not None:
            own["dafl-activation"] = activation * losses.activation(told.embedding)
        if feature:
            own["dafl-feature"] = feature * losses.batch_norm_statistics(told.moments)
        return (Lesson(_signals(student, images, told.logits), own=own),)

    return Scheme(lessons, source.companions)


def zskt(
    teacher: nn.Module,
    samples: Samples,
    device: torch.device,
    *,
    noise: Count = 100,
    width: Count = 64,
    student_steps: Count = 5,
    adversary: NonNegative = 1.0,
    taught: NonNegative = 1.0,
) -> Scheme:
    """The generator looks for images on which the student's classes differ from the teacher's.

    Micaelli and Storkey 2019 (arXiv:1905.09768, sec. 3): KL(teacher || student) at temperature 1 is
    descended by the student and climbed by the generator, here in one backward pass. Their attention
    term is left out.

    Args:
        teacher: logits [B, classes] of images [B, C, H, W]; it is frozen, in evaluation mode.
        samples: tell the images' size and preprocessing; none is looked at.
        device: where the generator lives.
        noise: numbers an image is made from.
        width: of the generator, in channels.
        student_steps: of the student to one of the generator.
        adversary: weight of what the generator climbs.
        taught: weight of the same for the student; the recipe's losses come on top.

    Raises:
        ValueError: if a side is shorter than 4.
    """
    source = _Source(teacher, samples, device, noise, width)
    return _adversarial(source, "zskt", losses.divergence, student_steps, adversary, taught)


def dfad(
    teacher: nn.Module,
    samples: Samples,
    device: torch.device,
    *,
    noise: Count = 256,
    width: Count = 64,
    student_steps: Count = 5,
    adversary: NonNegative = 1.0,
    taught: NonNegative = 1.0,
) -> Scheme:
    """The generator looks for images on which the student's logits are far from the teacher's.

    Fang et al. 2019 (arXiv:1912.11006, sec. 3): as `zskt`, with the mean absolute difference of logits.

    Args:
        teacher: logits [B, classes] of images [B, C, H, W]; it is frozen, in evaluation mode.
        samples: tell the images' size and preprocessing; none is looked at.
        device: where the generator lives.
        noise: numbers an image is made from.
        width: of the generator, in channels.
        student_steps: of the student to one of the generator.
        adversary: weight of what the generator climbs.
        taught: weight of the same for the student; the recipe's losses come on top.

    Raises:
        ValueError: if a side is shorter than 4.
    """
    source = _Source(teacher, samples, device, noise, width)
    return _adversarial(
        source, "dfad", losses.absolute_difference, student_steps, adversary, taught
    )


def _adversarial(
    source: _Source, name: str, distance: Distance, every: int, adversary: float, taught: float
) -> Scheme:
    turns = _Turns(every)
    source.companions["turns"] = turns

    def lessons(student: nn.Module, batch: TensorBatch) -> Sequence[Lesson]:
        source.companions.train(student.training)
        own: dict[str, Tensor] = {}
        with torch.set_grad_enabled(turns.generator_learns() and torch.is_grad_enabled()):
            images = source.images(batch)
            hard = reverse_gradient(images)
            told = source.teacher(hard)
        if images.requires_grad:
            with freeze_weights(student):
                own[f"{name}-generator"] = adversary * distance(student(hard), told)
        # Last, so that whoever watches the student's layers sees the pass that it learns from.
        signals = _signals(student, images, told)
        if taught:
            own[name] = taught * distance(signals["student_logits"], signals["teacher_logits"])
        return (Lesson(signals, own=own),)

    return Scheme(lessons, source.companions)


class _Turns(nn.Module):
    """Counts steps in training; the count goes with the checkpoint."""

    steps: Tensor

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every = every
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def generator_learns(self) -> bool:
        """Return whether the step that begins is one of the generator's, too: the first of `every`."""
        learns = int(self.steps) % self.every == 0
        if self.training:
            self.steps += 1
        return learns


class _Source:
    """A frozen teacher and the generator that makes images for it."""

    def __init__(
        self, teacher: nn.Module, samples: Samples, device: torch.device, noise: int, width: int
    ) -> None:
        self.teacher = hooks.freeze_teacher(teacher, device)
        self.sides = samples.image.height, samples.image.width
        maker = generator(samples.image, noise=noise, width=width).to(device)
        self.companions = nn.ModuleDict({"generator": maker})
        self.noise = noise

    def images(self, batch: TensorBatch) -> Tensor:
        """As many new images [B, C, H, W] as the batch has, with a gradient to the generator."""
        drawn = torch.randn(len(batch.indices), self.noise, device="cpu")
        made: Tensor = self.companions["generator"](drawn.to(batch.device))
        return made


def _signals(student: nn.Module, images: Tensor, told: Tensor) -> Mapping[str, Tensor]:
    """Return what the student's losses compare; nothing of it leads back to the generator."""
    told = told.detach().float()
    named = told.argmax(1)
    return {
        "student_logits": student(images.detach()),
        "teacher_logits": told,
        "labels": named,
        "label_indices": named,
    }

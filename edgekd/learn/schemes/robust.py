"""The student learns on images that are made to mislead it as it is now."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.attack import PixelRange
from edgekd.learn.attack import pgd
from edgekd.learn.mathematics.shapes import widen
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.scheme import label_signals

if TYPE_CHECKING:
    from edgekd.learn.data.loader import Samples
    from edgekd.settings import Count
    from edgekd.settings import Fraction
    from edgekd.settings import NonNegative
    from edgekd.settings import Positive

Attack = Callable[[TensorBatch, Callable[[Tensor], Tensor]], Tensor]
"""The images that make an objective of the student's logits large."""


def adversarial(
    student: nn.Module,
    samples: Samples,
    *,
    epsilon: NonNegative = 0.031372549,
    step: Positive = 0.007843137,
    steps: Count = 10,
    random_start: bool = True,
) -> Scheme:
    """No teacher, and images made to mislead.

    Adversarial training (Madry et al. 2018, arXiv:1706.06083, eq. 2.1): the attack makes
    the cross-entropy to the labels large. The recipe's losses are those of the images it finds. A
    control for `ard` and `rslad`, and how a robust teacher comes to be.

    Args:
        student: what is trained, and attacked.
        samples: says what pixels may be.
        epsilon: largest change of a pixel, where black is 0 and white is 1: 8 grey levels of 255.
        step: of the attack, in the same unit: 2 grey levels.
        steps: of the attack; each costs a forward and a backward pass.
        random_start: whether it starts at a random place within epsilon.

    Returns:
        One lesson, with the logits of the moved images.
    """
    attack = _attack(student, samples, epsilon, step, steps, random_start)

    def lessons(learner: nn.Module, batch: TensorBatch) -> list[Lesson]:
        moved = attack(batch, _to_labels(batch))
        return [Lesson({"student_logits": learner(moved), **label_signals(batch)})]

    return Scheme(lessons, nn.ModuleDict())


def ard(
    student: nn.Module,
    teacher_function: Callable[[TensorBatch], Tensor],
    samples: Samples,
    *,
    alpha: Fraction = 1.0,
    epsilon: NonNegative = 0.031372549,
    step: Positive = 0.007843137,
    steps: Count = 10,
    random_start: bool = True,
) -> Scheme:
    """On moved images the student says what the teacher says of the clean ones.

    Adversarially robust distillation (Goldblum et al. 2020, arXiv:1905.09747, eq. 3):
    alpha * T^2 KL(teacher(x) || student(x + d)) + (1 - alpha) * cross-entropy(student(x), y), where d makes
    the cross-entropy of student(x + d) to the labels large. The teacher should be robust itself.
    Recipes: kd alone, at temperature 30 as the authors have it. They attack in training mode.

    Args:
        student: what is trained, and attacked.
        teacher_function: the teacher's logits [B, C] to the clean images, without gradient.
        samples: says what pixels may be.
        alpha: weight of the recipe's losses on the moved images; the rest is the term ``clean``.
        epsilon: largest change of a pixel, where black is 0 and white is 1: 8 grey levels of 255.
        step: of the attack, in the same unit: 2 grey levels.
        steps: of the attack; each costs a forward and a backward pass.
        random_start: whether it starts at a random place within epsilon.

    Returns:
        One lesson: ``student_logits`` of the moved images, ``teacher_logits`` of the clean ones.
    """
    attack = _attack(student, samples, epsilon, step, steps, random_start)

    def lessons(learner: nn.Module, batch: TensorBatch) -> list[Lesson]:
        moved = attack(batch, _to_labels(batch))
        signals = {
            "student_logits": learner(moved),
            "teacher_logits": teacher_function(batch),
            **label_signals(batch),
        }
        if alpha == 1:
            return [Lesson(signals)]
        clean = F.cross_entropy(widen(learner(*batch.inputs)), batch.targets["labels"])
        return [Lesson(signals, alpha, {"clean": (1 - alpha) * clean})]

    return Scheme(lessons, nn.ModuleDict())


def rslad(
    student: nn.Module,
    teacher_function: Callable[[TensorBatch], Tensor],
    samples: Samples,
    *,
    share: Fraction = 0.8333333333,
    epsilon: NonNegative = 0.031372549,
    step: Positive = 0.007843137,
    steps: Count = 10,
    random_start: bool = True,
) -> Scheme:
    """The teacher's soft labels stand for the hard ones everywhere, in the attack, too.

    Robust soft label adversarial distillation (Zi et al. 2021, arXiv:2108.07969, eq. 5):
    5/6 KL(teacher(x) || student(x + d)) + 1/6 KL(teacher(x) || student(x)), where d makes the first of
    them large. The teacher should be robust itself. Recipes: kd alone, at temperature 1. The authors start
    the attack a thousandth of normal noise away; here it starts anywhere within epsilon. Their code
    takes the mean over classes, too: its loss is this one divided by their number. Recipes that want it
    name deit-soft at temperature 1 instead of kd; both lessons are then divided alike.

    Args:
        student: what is trained, and attacked.
        teacher_function: the teacher's logits [B, C] to the clean images, without gradient.
        samples: says what pixels may be.
        share: weight of the recipe's losses on the moved images; the rest is that on the clean ones.
        epsilon: largest change of a pixel, where black is 0 and white is 1: 8 grey levels of 255.
        step: of the attack, in the same unit: 2 grey levels.
        steps: of the attack; each costs a forward and a backward pass.
        random_start: whether it starts at a random place within epsilon.

    Returns:
        Two lessons with the same ``teacher_logits``: the moved images, then the clean ones.
    """
    attack = _attack(student, samples, epsilon, step, steps, random_start)

    def lessons(learner: nn.Module, batch: TensorBatch) -> list[Lesson]:
        told = teacher_function(batch)
        moved = attack(batch, functools.partial(_to_teacher, told))
        shared = {"teacher_logits": told, **label_signals(batch)}
        return [
            Lesson({"student_logits": learner(images), **shared}, weight)
            for images, weight in ((moved, share), (batch.inputs[0], 1 - share))
        ]

    return Scheme(lessons, nn.ModuleDict())


def _attack(
    student: nn.Module,
    samples: Samples,
    epsilon: float,
    step: float,
    steps: int,
    random_start: bool,
) -> Attack:
    pixels = PixelRange.of(samples.image)

    def attack(batch: TensorBatch, objective: Callable[[Tensor], Tensor]) -> Tensor:
        return pgd(
            student,
            batch.inputs[0],
            objective,
            pixels,
            epsilon=epsilon,
            step=step,
            steps=steps,
            random_start=random_start,
        )

    return attack


def _to_labels(batch: TensorBatch) -> Callable[[Tensor], Tensor]:
    return lambda logits: F.cross_entropy(widen(logits), batch.targets["labels"])


def _to_teacher(told: Tensor, logits: Tensor) -> Tensor:
    """KL(teacher || student), nats."""
    taught, own = F.log_softmax(widen(told), 1), F.log_softmax(widen(logits), 1)
    return F.kl_div(own, taught, reduction="batchmean", log_target=True)

"""The student makes its own soft labels: how sure it may be, and a ranking of the other classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from edgekd.learn.losses.response.decoupled import other_logits
from edgekd.learn.mathematics.fitting import count_channels
from edgekd.learn.mathematics.shapes import widen
from edgekd.learn.method.readout import average_places
from edgekd.learn.method.readout import first_two_samples
from edgekd.learn.method.readout import require_unmixed
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.scheme import label_signals
from edgekd.learn.method.taps import Taps
from edgekd.learn.method.taps import record_shapes

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.learn.data.loader import Samples
    from edgekd.settings import NonNegative

SMOOTHING = 0.1
"""Of the labels that the weak classifier learns from."""


def uskd(
    student: nn.Module,
    samples: Samples,
    stages: tuple[str, ...],
    device: torch.device,
    *,
    alpha: NonNegative = 1.0,
    beta: NonNegative = 0.1,
    mu: NonNegative = 0.005,
) -> Scheme:
    """Universal self-distillation (Yang et al. 2023, arXiv:2303.13005, sec. 3).

    A weak classifier at the last stage but one learns from smoothed labels (weight `mu`); it and the
    student rank the classes that are not labelled, which Zipf's law turns into soft labels (`beta`). The
    labelled class gets a soft label from the student's own confidence (`alpha`). These are terms of the
    scheme: its lesson has no teacher's logits. Recipes: cross-entropy 1.

    Args:
        student: the network that learns.
        samples: the training split.
        stages: where its stages end, shallow to deep.
        device: where it is.
        alpha: weight of the labelled class.
        beta: weight of the others.
        mu: weight of the weak classifier's own loss.

    Returns:
        The student's lesson, with the terms ``target``, ``ranked`` and ``weak``.

    Raises:
        ValueError: if there are fewer than two stages or three classes, or views mix samples.
    """
    require_unmixed(samples)
    if len(stages) < 2 or samples.classes < 3:
        raise ValueError(
            f"got {len(stages)} stages and {samples.classes} classes, want 2 and 3 at least"
        )
    place = stages[-2]
    width = count_channels(
        record_shapes(student, [place], *first_two_samples(samples, device))[place]
    )
    weak, taps = nn.Linear(width, samples.classes), Taps(student, [place])

    def lessons(learner: nn.Module, batch: TensorBatch) -> list[Lesson]:
        with taps as features:
            logits = learner(*batch.inputs)
        weakly = weak(average_places(features[place]))
        smoothed = F.cross_entropy(weakly, batch.targets["labels"], label_smoothing=SMOOTHING)
        own = {
            "target": target_term(logits, batch.targets["labels"]) * alpha,
            "ranked": ranked_term(logits, weakly, batch.targets["labels"]) * beta,
            "weak": smoothed * mu,
        }
        return [Lesson({"student_logits": logits, **label_signals(batch)}, own=own)]

    return Scheme(lessons, nn.ModuleDict({"weak": weak}))


def target_term(logits: Tensor, label_indices: Tensor) -> Tensor:
    """-(1 + p_y^2 - mean p_y^2) log p_y, mean over the batch (Yang et al. 2023, sec. 3).

    The soft label is not differentiated; it is above 1 for samples that are known better than most.

    Args:
        logits: [B, C].
        label_indices: [B].

    Returns:
        Scalar, nats.
    """
    log_p = F.log_softmax(widen(logits), 1).gather(1, label_indices.unsqueeze(1)).squeeze(1)
    squared = log_p.detach().mul(2).exp()
    return -((1 + squared - squared.mean()) * log_p).mean()


def ranked_term(logits: Tensor, weak_logits: Tensor, label_indices: Tensor) -> Tensor:
    """Cross-entropy between Zipf's law over ranks and the student's softmax without the label.

    The classes are ranked by the sum of both classifiers' probabilities, each normalised without the
    label (Yang et al. 2023, sec. 3). Ranks run from 1 to C - 1; the authors' code counts the label, too.

    Args:
        logits: [B, C]; the gradient flows here.
        weak_logits: [B, C]; detached.
        label_indices: [B].

    Returns:
        Scalar, nats.
    """
    both = (logits, weak_logits.detach())
    others, weakly = (other_logits(widen(each), label_indices) for each in both)
    likely = F.softmax(others.detach(), 1) + F.softmax(weakly, 1)
    rank = likely.argsort(dim=1, descending=True, stable=True).argsort(dim=1) + 1
    zipf = 1 / rank.to(likely.dtype)
    wanted = zipf / zipf.sum(1, keepdim=True)
    return -(wanted * F.log_softmax(others, 1)).sum(1).mean()

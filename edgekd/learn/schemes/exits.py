"""Exits at the student's earlier stages, taught by what comes out at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from edgekd.learn.mathematics.fitting import count_channels
from edgekd.learn.mathematics.fitting import pool_maps
from edgekd.learn.method.readout import average_places
from edgekd.learn.method.readout import first_two_samples
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.scheme import label_signals
from edgekd.learn.method.taps import Taps
from edgekd.learn.method.taps import record_shapes

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from edgekd.learn.data.loader import Samples
    from edgekd.learn.mathematics.shapes import Shape
    from edgekd.settings import NonNegative


def byot(
    student: nn.Module,
    samples: Samples,
    stages: tuple[str, ...],
    device: torch.device,
    *,
    exit_weight: NonNegative = 0.7,
    hint_weight: NonNegative = 0.03,
) -> Scheme:
    """Be your own teacher: a bottleneck and a classifier at each stage but the last learn along.

    Zhang et al. 2019 (arXiv:1905.08094, sec. 3): an exit learns from the labels, from the student's
    logits, and from its deepest features: the squared distance of both vectors, summed over channels,
    mean over the batch, times `hint_weight`. The gradient of all exits reaches the stages below them; it
    does not reach what teaches. In the student's own lesson it is its own teacher, so kd is 0 there.
    Recipes: cross-entropy 1, kd 0.43 at temperature 3, which `exit_weight` makes 0.7 and 0.3 for the
    exits. The authors' exits halve the map once for each
    stage that follows; here it is pooled to the size of the deepest, which fits any network.

    Args:
        student: the network with the exits.
        samples: the training split.
        stages: where its stages end, shallow to deep.
        device: where it is.
        exit_weight: of an exit's losses beside the student's own.
        hint_weight: of the distance to the deepest features.

    Returns:
        The student's lesson, then one for each exit, shallow to deep, with its hint.

    Raises:
        ValueError: if the student has fewer than two stages.
    """
    if len(stages) < 2:
        raise ValueError(f"got {len(stages)} stages, want two at least: one for an exit")
    seen_shapes = record_shapes(student, stages, *first_two_samples(samples, device))
    deepest, taps = stages[-1], Taps(student, stages)
    exits = nn.ModuleList(
        _Exit(seen_shapes[stage], seen_shapes[deepest], samples.classes) for stage in stages[:-1]
    )

    def lessons(learner: nn.Module, batch: TensorBatch) -> list[Lesson]:
        exits.train(learner.training)
        with taps as features:
            logits = learner(*batch.inputs)
        told, known = logits.detach(), label_signals(batch)
        target = average_places(features[deepest]).detach()
        taught = [Lesson({"student_logits": logits, "teacher_logits": told, **known})]
        for number, (stage, leave) in enumerate(zip(stages[:-1], exits, strict=True), start=1):
            vectors, answer = leave(features[stage])
            hint = (vectors - target).square().sum(1).mean() * hint_weight
            signals = {"student_logits": answer, "teacher_logits": told, **known}
            own = {f"hint-{number}": hint} if hint_weight else {}
            taught.append(Lesson(signals, exit_weight, own))
        return taught

    return Scheme(lessons, nn.ModuleDict({"exits": exits}))


class _Exit(nn.Module):
    """From the features of a stage to vectors as wide as the deepest, and to logits."""

    def __init__(self, shape: Shape, deepest: Shape, classes: int) -> None:
        super().__init__()
        self.sides = None
        if len(shape) == len(deepest) == 4:
            self.sides = (min(shape[2], deepest[2]), min(shape[3], deepest[3]))
        width, wide = count_channels(shape), count_channels(deepest)
        narrow = max(wide // 4, 1)
        self.bottleneck = (
            _of_maps(width, narrow, wide) if len(shape) == 4 else _of_rows(width, narrow, wide)
        )
        self.classifier = nn.Linear(wide, classes)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        if self.sides is not None:
            features = pool_maps(features, self.sides)
        vectors = average_places(self.bottleneck(features))
        return vectors, self.classifier(vectors)


def _of_maps(width: int, narrow: int, wide: int) -> nn.Sequential:
    """1x1, 3x3, 1x1: the bottleneck of He et al. 2016."""
    return nn.Sequential(
        nn.Conv2d(width, narrow, 1, bias=False),
        nn.BatchNorm2d(narrow),
        nn.ReLU(),
        nn.Conv2d(narrow, narrow, 3, padding=1, bias=False),
        nn.BatchNorm2d(narrow),
        nn.ReLU(),
        nn.Conv2d(narrow, wide, 1, bias=False),
        nn.BatchNorm2d(wide),
    )


def _of_rows(width: int, narrow: int, wide: int) -> nn.Sequential:
    """The same idea for tokens and vectors."""
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, narrow), nn.GELU(), nn.Linear(narrow, wide)
    )

"""Networks of one kind, each with first weights of its own, that teach one another; one is shipped."""

from __future__ import annotations

from typing import TYPE_CHECKING
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from edgekd.learn.mathematics.shapes import widen
from edgekd.learn.method.readout import require_unmixed
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.scheme import label_signals

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence

    from torch import Tensor

    from edgekd.learn.data.loader import Samples
    from edgekd.settings import Count


def dml(build_peer: Callable[[int], nn.Module], *, peers: Count = 1) -> Scheme:
    """Deep mutual learning: every learner hears every other, with equal weight.

    Zhang et al. 2018 (arXiv:1706.00384, sec. 3): a learner's loss is its cross-entropy and the mean over
    the others of KL(p_other || p_own). There is one lesson for each pair of a learner and one of the
    others, of weight 1 / peers, so that any loss of logits can stand for the KL, and what compares a
    learner with the labels counts once. Recipes: cross-entropy 1, kd 1 at temperature 1.

    Args:
        build_peer: builds peer number n, from 1 on.
        peers: how many learn beside the student.

    Returns:
        The student's lessons, then those of each peer.
    """
    beside = _built(build_peer, peers)

    def lessons(student: nn.Module, batch: TensorBatch) -> list[Lesson]:
        answers, known = _answers(student, beside, batch), label_signals(batch)
        return [
            Lesson({"student_logits": one, "teacher_logits": other.detach(), **known}, 1 / peers)
            for learner, one in enumerate(answers)
            for number, other in enumerate(answers)
            if number != learner
        ]

    return Scheme(lessons, nn.ModuleDict({"peers": beside}))


def kdcl(
    build_peer: Callable[[int], nn.Module],
    samples: Samples,
    *,
    peers: Count = 1,
    rule: Literal["min-logit", "naive", "mean"] = "min-logit",
) -> Scheme:
    """Collaborative learning: one teacher, made of the logits of all learners, teaches them all.

    Guo et al. 2020 (CVPR, Online Knowledge Distillation via Collaborative Learning, sec. 3). The authors
    show each learner another view of a sample; here all see the same one. Recipes: cross-entropy 1, kd 1
    at temperature 2.

    Args:
        build_peer: builds peer number n, from 1 on.
        samples: the training split.
        peers: how many learn beside the student.
        rule: the least of each class, relative to the labelled one; the learner nearest to the label; or
            the mean.

    Returns:
        The student's lesson, then one for each peer.

    Raises:
        ValueError: if the rule is min-logit and views mix samples.
    """
    if rule == "min-logit":
        require_unmixed(samples)
    beside = _built(build_peer, peers)

    def lessons(student: nn.Module, batch: TensorBatch) -> list[Lesson]:
        answers, known = _answers(student, beside, batch), label_signals(batch)
        told = combine_logits(answers, batch.targets["labels"], rule)
        return [Lesson({"student_logits": one, "teacher_logits": told, **known}) for one in answers]

    return Scheme(lessons, nn.ModuleDict({"peers": beside}))


def combine_logits(answers: Sequence[Tensor], labels: Tensor, rule: str) -> Tensor:
    """Combine the logits of all learners into a teacher's.

    Guo et al. 2020, sec. 3:

    - ``naive``: for each sample those of the learner with the smallest cross-entropy;
    - ``min-logit``: the least of z - z_y, class by class: what one learner finds unlikely is unlikely;
    - ``mean``: of the logits.

    Args:
        answers: logits [B, C] of each learner; detached.
        labels: [B]; for naive and mean also [B, C].
        rule: one of these.

    Returns:
        [B, C].
    """
    stacked = torch.stack([widen(answer.detach()) for answer in answers])
    if rule == "mean":
        return stacked.mean(0)
    if rule == "naive":
        losses = [F.cross_entropy(answer, labels, reduction="none") for answer in stacked]
        best = torch.stack(losses).argmin(0)
        return stacked[best, torch.arange(len(best), device=best.device)]
    rows = labels.expand(len(stacked), -1).unsqueeze(2)
    return (stacked - stacked.gather(2, rows)).amin(0)


def _built(build_peer: Callable[[int], nn.Module], peers: int) -> nn.ModuleList:
    return nn.ModuleList(build_peer(number) for number in range(1, peers + 1))


def _answers(student: nn.Module, beside: nn.ModuleList, batch: TensorBatch) -> list[Tensor]:
    """Logits [B, C] of every learner, the student's first; the peers take its mode."""
    beside.train(student.training)
    return [student(*batch.inputs), *(peer(*batch.inputs) for peer in beside)]

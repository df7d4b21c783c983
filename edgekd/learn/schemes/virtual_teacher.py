"""A teacher that is no network: right by design, and equally unsure of all else."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from typing import Literal

import torch
from torch import nn

from edgekd.learn.method.readout import require_unmixed
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.scheme import label_signals

if TYPE_CHECKING:
    from torch import Tensor

    from edgekd.learn.data.loader import Samples
    from edgekd.settings import Fraction
    from edgekd.settings import Positive


def tf_kd(
    samples: Samples,
    *,
    correct: Fraction = 0.99,
    temperature: Positive = 20.0,
    soften: Literal["logits", "probabilities"] = "logits",
) -> Scheme:
    """Teacher-free distillation, by a virtual teacher (Yuan et al. 2020, arXiv:1909.11723, Tf-KD_reg).

    The teacher gives the labelled class the probability `correct`, every other class the same share of
    the rest, and softens that by a temperature of its own. A loss that softens both sides does so on top.
    With kd at temperature 1 only the teacher is soft; with 1 here and 20 there both are, as in the
    authors' equation. With 1 in both it is label smoothing: `correct` is 1 - e + e / C.

    The authors' code divides the probabilities by the temperature, not their logarithms, and takes the
    softmax of that: at 20 its teacher is uniform to a twentieth. It also takes the mean over classes and
    multiplies by a number of the network's own. `soften: probabilities` is that teacher; the weight of kd
    is then theirs times their multiplier over the number of classes.
    Recipes: cross-entropy 0.9, kd 0.1 at temperature 1.

    Args:
        samples: the training split.
        correct: probability of the labelled class.
        temperature: of the teacher alone.
        soften: what is divided by the temperature: logits (log-probabilities), or probabilities.

    Returns:
        The student's lesson; nothing learns beside it.

    Raises:
        ValueError: if views mix samples, or `correct` is 1 or no more than chance.
    """
    require_unmixed(samples)
    classes = samples.classes
    if not 1 / classes < correct < 1:
        raise ValueError(f"correct: got {correct:g}, want between 1/{classes} and 1")

    def lessons(student: nn.Module, batch: TensorBatch) -> list[Lesson]:
        told = virtual_logits(batch.targets["labels"], classes, correct, temperature, soften)
        answers = {"student_logits": student(*batch.inputs), "teacher_logits": told}
        return [Lesson({**answers, **label_signals(batch)})]

    return Scheme(lessons, nn.ModuleDict())


def virtual_logits(
    labels: Tensor, classes: int, correct: float, temperature: float, soften: str = "logits"
) -> Tensor:
    """Return the virtual teacher's logits: its log-probabilities or probabilities, by its temperature.

    Args:
        labels: [B], int64.
        classes: C.
        correct: probability of the labelled class before it is softened, between 1 / C and 1.
        temperature: above 0.
        soften: ``logits`` or ``probabilities``.

    Returns:
        [B, C], float32.
    """
    other = (1 - correct) / (classes - 1)
    if soften == "logits":
        correct, other = math.log(correct), math.log(other)
    logits = torch.full((len(labels), classes), other / temperature, device=labels.device)
    return logits.scatter_(1, labels.unsqueeze(1), correct / temperature)

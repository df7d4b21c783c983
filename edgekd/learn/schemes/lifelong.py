"""New classes are learned without samples of the old ones, which the model before remembers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch import nn
from torch.nn import functional as F

from edgekd.learn.attack import evaluation_mode
from edgekd.learn.losses.response.soft_targets import kd
from edgekd.learn.mathematics.shapes import widen
from edgekd.learn.method.pairing import find_stages
from edgekd.learn.method.scheme import Lesson
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.method.scheme import TensorBatch
from edgekd.learn.method.scheme import label_signals
from edgekd.learn.method.taps import Taps
from edgekd.learn.method.taps import module_path

if TYPE_CHECKING:
    from edgekd.learn.data.loader import Samples
    from edgekd.settings import Count
    from edgekd.settings import NonNegative
    from edgekd.settings import Positive


def lwf(
    student: nn.Module,
    teacher: nn.Module,
    classes: int,
    samples: Samples,
    *,
    old: Count,
    temperature: Positive = 2.0,
    weight: NonNegative = 1.0,
    warmup_epochs: NonNegative = 0.0,
) -> Scheme:
    """Learning without forgetting: to new samples, the old classes are answered as before.

    Li and Hoiem 2016 (arXiv:1606.09282, eq. 1 to 3). The recipe's losses see the new classes alone,
    numbered from 0; the scheme's own term ``old-classes`` is the Kullback-Leibler divergence of the
    softened old ones, without T^2 as in the paper. The two groups of logits are never weighed against
    each other: ask the student of old classes or of new ones, not of all at once. The paper first trains
    the new classes' rows alone until they converge: `warmup_epochs` does, with everything below the
    classifier as it is in evaluation; the rows of old classes then get no gradient (but weight decay).

    Args:
        student: what is trained; it is to begin with the teacher's parameters.
        teacher: the model before, frozen, in evaluation mode; its first `old` logits are read.
        classes: old and new.
        samples: of the new classes alone.
        old: how many classes, the first ones, are known already.
        temperature: T of the old classes' term, above 0.
        weight: of that term; 0 is plain fine-tuning of the new classes.
        warmup_epochs: how long the new classes' rows learn alone.

    Raises:
        ValueError: if old or new classes are fewer than 2, or a sample is of an old one.
    """
    _want_new(samples, classes, old)
    classifier = _classifier(student, samples) if warmup_epochs else None

    def lessons(learner: nn.Module, batch: TensorBatch) -> list[Lesson]:
        with torch.no_grad():
            told = teacher(*batch.inputs)[:, :old]
        if classifier is not None and batch.epoch < warmup_epochs:
            with evaluation_mode(student), _closed(classifier):
                logits = learner(*batch.inputs)
            logits = torch.cat([logits[:, :old].detach(), logits[:, old:]], 1)
        else:
            logits = learner(*batch.inputs)
        kept = kd(logits[:, :old], told, temperature=temperature) / temperature**2
        return [Lesson(_of_new(logits, batch, old), own={"old-classes": weight * kept})]

    return Scheme(lessons, nn.ModuleDict())


def lwf_mc(
    teacher: nn.Module,
    classes: int,
    samples: Samples,
    *,
    old: Count,
    weight: NonNegative = 1.0,
) -> Scheme:
    """Learning without forgetting for a student that is asked of all classes at once.

    LwF.MC of Rebuffi et al. 2017 (arXiv:1611.07725, sec. 4.1): each class is a yes or no of its own,
    by binary cross-entropy summed over classes, mean over the batch: to the model's before for old
    ones (``old-classes``), to the labels for new ones (``new-classes``). A logit then means the same
    on either side, which softmaxes over each side leave open. So it should in the model before: one
    that was trained by a softmax says each logit up to a shift of the sample's own. The recipe's losses, which the paper has
    not, see the new classes alone, numbered from 0.

    Args:
        teacher: the model before, frozen, in evaluation mode; its first `old` logits are read. The
            student is to begin with its parameters.
        classes: old and new.
        samples: of the new classes alone.
        old: how many classes, the first ones, are known already.
        weight: of the old classes' term.

    Raises:
        ValueError: if old or new classes are fewer than 2, or a sample is of an old one.
    """
    _want_new(samples, classes, old)

    def lessons(student: nn.Module, batch: TensorBatch) -> list[Lesson]:
        with torch.no_grad():
            told = widen(teacher(*batch.inputs)[:, :old]).sigmoid()
        logits = student(*batch.inputs)
        signals = _of_new(logits, batch, old)
        labels = signals["labels"]
        wanted = F.one_hot(labels, classes - old) if labels.ndim == 1 else labels
        kept = _binary(logits[:, :old], told)
        learned = _binary(logits[:, old:], wanted)
        own = {"old-classes": weight * kept, "new-classes": learned}
        return [Lesson(signals, own=own)]

    return Scheme(lessons, nn.ModuleDict())


def less_forgetting(
    student: nn.Module,
    teacher: nn.Module,
    classes: int,
    samples: Samples,
    *,
    old: Count,
    weight: NonNegative = 1.6e-3,
) -> Scheme:
    """To new samples, the features that enter the classifier stay where they were.

    Jung et al. 2016 (arXiv:1607.00122): half the squared distance of the embeddings, mean over the
    batch, is the scheme's own term ``features``. The recipe's losses see the new classes alone,
    numbered from 0, so that the classifier's rows of old classes get no gradient: the decision
    boundaries of the paper's second property stay (but for weight decay).

    Args:
        student: what is trained; it is to begin with the teacher's parameters.
        teacher: the model before, frozen, in evaluation mode, with as wide an embedding.
        classes: old and new.
        samples: of the new classes alone.
        old: how many classes, the first ones, are known already.
        weight: of the distance, per squared unit of the embedding.

    Raises:
        ValueError: if old or new classes are fewer than 2, or a sample is of an old one.
    """
    _want_new(samples, classes, old)
    own, theirs = (_embedding(model, samples) for model in (student, teacher))

    def lessons(learner: nn.Module, batch: TensorBatch) -> list[Lesson]:
        with theirs as told, torch.no_grad():
            teacher(*batch.inputs)
        with own as made:
            logits = learner(*batch.inputs)
        apart = [values.popitem()[1].flatten(1) for values in (made, told)]
        distance = (apart[0] - apart[1]).square().sum(1).mean() / 2
        return [Lesson(_of_new(logits, batch, old), own={"features": weight * distance})]

    return Scheme(lessons, nn.ModuleDict())


def _binary(logits: Tensor, wanted: Tensor) -> Tensor:
    """Binary cross-entropy, summed over classes, mean over the batch."""
    logits = widen(logits)
    error = F.binary_cross_entropy_with_logits(logits, wanted.to(logits), reduction="sum")
    return error / len(logits)


def _of_new(logits: Tensor, batch: TensorBatch, old: int) -> dict[str, Tensor]:
    """Return what the losses see: the new classes, numbered from 0."""
    labels = batch.targets["labels"]
    new = labels - old if labels.ndim == 1 else labels[:, old:]
    return {
        "student_logits": logits[:, old:],
        **label_signals(batch._replace(targets={"labels": new})),
    }


def _embedding(model: nn.Module, samples: Samples) -> Taps:
    """Reads what enters the classifier."""
    return Taps(model, [_entrance(model, samples)])


def _classifier(model: nn.Module, samples: Samples) -> nn.Module:
    return model.get_submodule(module_path(_entrance(model, samples)))


def _entrance(model: nn.Module, samples: Samples) -> str:
    image = samples.image
    blank = torch.zeros(2, image.channels, image.height, image.width)
    return find_stages(model, blank.to(next(model.parameters()).device)).classifier


@contextmanager
def _closed(classifier: nn.Module) -> Iterator[None]:
    """No gradient passes to what lies below."""
    handle = classifier.register_forward_pre_hook(
        lambda module, given: tuple(value.detach() for value in given)
    )
    try:
        yield
    finally:
        handle.remove()


def _want_new(samples: Samples, classes: int, old: int) -> None:
    if not 2 <= old <= classes - 2:
        raise ValueError(
            f"old: got {old} of {classes} classes, want 2 or more on either side of it"
        )
    strays = int((samples.labels < old).sum())
    if strays:
        raise ValueError(f"got {strays} samples of the {old} old classes, want none of them")

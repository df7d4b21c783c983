"""One step of a training that has not begun, so that what cannot be is found before hours of work."""

from __future__ import annotations

import numpy as np

from edgekd.errors import InputError
from edgekd.learn import arithmetic
from edgekd.learn.assembly.step import DistillationStep
from edgekd.learn.data.loader import Samples
from edgekd.learn.method.class_weights import weigh_classes
from edgekd.learn.method.loss import compute_lessons
from edgekd.learn.method.loss_values import NotFiniteLoss
from edgekd.learn.method.loss_values import read_values
from edgekd.learn.method.missing_labels import pass_over_unlabelled
from edgekd.learn.method.outputs import add_auxiliary_loss
from edgekd.learn.method.outputs import require_auxiliary
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import Training
from edgekd.learn.training.batches import to_tensors
from edgekd.learn.training.optimizer import build_optimizer


def rehearse_step(
    whole: DistillationStep, samples: Samples, training: Training, resolved: Arithmetic
) -> None:
    """Compute the loss of the first batch; no weight is moved.

    Args:
        whole: freshly built networks; their buffers may change.
        samples: the training split.
        training: its batch size and epochs.
        resolved: the arithmetic.

    Raises:
        InputError: if a loss lacks a signal, or is no finite number already; if torch refuses the optimizer's knobs.
        ValueError: if a scheme wants other samples.
    """
    device = arithmetic.choose_device()
    whole.student.to(device).train()
    whole.scheme.companions.to(device).train()
    batch = samples.batch(np.arange(training.batch_size), 0)
    tensors = to_tensors(batch, resolved, 0.0, training.epochs)
    scheme = whole.scheme
    terms = whole.connection.terms
    build_optimizer(whole.student, training)
    if training.class_weights is not None:
        terms = weigh_classes(terms, training.class_weights, samples)
    terms = pass_over_unlabelled(terms, samples)
    terms = pass_over_unlabelled(terms, samples)
    if training.auxiliary:
        require_auxiliary(whole.student, tuple(each[:2] for each in tensors.inputs))
        scheme = add_auxiliary_loss(scheme, whole.student, training.auxiliary)
    try:
        loss, values = compute_lessons(terms, scheme.lessons(whole.student, tensors), 0.0)
        read_values([values])
    except NotFiniteLoss as fault:
        raise InputError(f"loss {fault} before any training", hint="lower its weight") from fault
    if not bool(loss.isfinite()):
        raise InputError(f"losses: their sum is {float(loss)}", hint="lower their weights")

"""Distillation of one's own modules over one's own batches, by the loop that trains every model here."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from typing import Literal
from typing import NamedTuple

import torch
from pydantic import ValidationError
from torch import nn

from edgekd.display import make_display
from edgekd.errors import InputError
from edgekd.learn.arithmetic import choose_device
from edgekd.learn.compiler import find_compiler
from edgekd.learn.method.scheme import Scheme
from edgekd.learn.model_inputs import Inputs
from edgekd.learn.settings import Arithmetic
from edgekd.learn.settings import Training
from edgekd.learn.standalone.batches import LoaderSamples
from edgekd.learn.standalone.batches import input_names
from edgekd.learn.standalone.distiller import Distiller
from edgekd.learn.standalone.distiller import SchemeWords
from edgekd.learn.standalone.distiller import as_networks
from edgekd.learn.standalone.terms import LossWords
from edgekd.learn.standalone.terms import read_training_words
from edgekd.learn.training.depth import plan_rates
from edgekd.learn.training.fit import fit
from edgekd.learn.training.run import TrainingRun
from edgekd.progress import Callback
from edgekd.progress import CallbackProgress

OF_RECIPES = {
    "batch_size": "batches of that size",
    "workers": "a loader that has them",
    "class_weights": "a loader that draws the classes as they are to count",
    "auxiliary": "a scheme or a loss for what a network gives beside its logits",
}
"""Keys of a recipe's ``train`` that are the loader's or the network's here, and what stands for them."""
ADAMW_RATE = 0.01
CLIP_NORM = 1.0
"""Where a call says none. A recipe's networks have norms and its inputs are normalized; what a user brings may have
neither, and then diverges at a recipe's rates and unclipped gradients: benchmarks/distil_defaults."""
NEVER_S = 1e12
"""Between two checkpoints where nobody keeps any."""


class DistilledStudent(NamedTuple):
    """A trained student and how it went."""

    student: nn.Module
    """In evaluation mode, on the CPU: the module that was given, but for losses that give it another classifier."""
    history: list[dict[str, float]]
    """One row an epoch: the mean of each loss term, ``learning_rate``, and ``score`` if one was asked."""


def distil(
    student: nn.Module,
    teacher: nn.Module | Sequence[nn.Module] | None,
    batches: Iterable[Any],
    *,
    losses: LossWords | Sequence[LossWords] = (),
    scheme: SchemeWords | Scheme | None = None,
    score: Callable[[nn.Module], float] | None = None,
    better: Literal["higher", "lower"] = "higher",
    seed: int = 0,
    checkpoints: str | os.PathLike[str] | None = None,
    callbacks: Callback | Sequence[Callback] = (),
    quiet: bool = False,
    **train: Any,
) -> DistilledStudent:
    """Train a student of one's own by a teacher of one's own, without a recipe.

    Args:
        student: gives one tensor, or a tuple; trained in place.
        teacher: one, or several whose logits' mean teaches; None where labels or the scheme teach. It comes back as it was.
        batches: a DataLoader, a list, or anything that gives the batches of an epoch each time it is iterated: inputs,
            ``(inputs, targets)``, or mappings by name of what the student takes and of targets.
        losses: what is summed, as in a recipe, ``["kd", {"name": "fitnet", "weight": 2.0}]``, or a function of
            signals, ``def own(student_logits, labels)``; one or several; left out, the teacher's softened classes
            (0.9) and the labels (0.1).
        scheme: who teaches whom: a name of ``edgekd methods``, with its knobs in a mapping, or what a function of
            `edgekd.schemes` gives; left out, the teacher, or labels without one.
        score: what a student in evaluation mode reaches on samples that it does not learn from; asked after every epoch.
        better: which score is.
        seed: of what is random in the training.
        checkpoints: folder to which the state is written, and from which the same call goes on after an interruption.
        callbacks: a function, or several, that receive an `edgekd.progress.EpochEnd` after every epoch.
        quiet: whether nothing is said on stderr.
        train: keys of a recipe's ``train``: ``epochs`` (20), ``learning_rate`` (0.1; of "adamw" 0.01), ``optimizer``
            ("sgd"), ``schedule``, ``clip_norm`` (1.0; None clips nothing), ``ema_decay``, ``freeze``, ...;
            ``batch_size`` and the like are the loader's.

    Raises:
        InputError: if a loss, the scheme, a setting or a batch does not fit.
        TrainingDiverged: if a loss is no finite number.

    >>> import edgekd
    >>> student, history = edgekd.distil(student, teacher, loader, epochs=30, learning_rate=0.05)
    """
    if score is not None and not callable(score):
        raise InputError(f"score: got {type(score).__name__}, want a function of the student")
    samples = LoaderSamples(batches, input_names(student))
    train = read_training_words(train, {*Training.model_fields, *OF_RECIPES})
    training = _read_training(train, samples.batch_size, checkpoints is None, score is None)
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        torch.manual_seed(seed)
        display = stack.enter_context(make_display(quiet=quiet, verbose=False))
        folder = checkpoints or stack.enter_context(tempfile.TemporaryDirectory(prefix="edgekd-"))
        for each in as_networks(teacher):
            stack.callback(_make_restorer(each))
        distiller = Distiller(
            student,
            teacher,
            example=next(iter(samples.loader)),
            losses=losses,
            scheme=scheme,
            samples=len(samples),
            epochs=training.epochs,
        )
        progress = CallbackProgress(display, [callbacks] if callable(callbacks) else callbacks)
        progress.stage("distil")
        history = fit(
            TrainingRun(
                model=distiller.student,
                samples=samples,
                batches=samples.open,
                terms=distiller.terms,
                scheme=distiller.scheme,
                training=training,
                resolved=_arithmetic(training),
                seed=seed,
                checkpoints=Path(folder),
                progress=progress,
                score=None if score is None else _make_judge(score, training),
                better=better,
                rates=plan_rates(distiller.student, training, _zeros(samples.first.inputs)),
            )
        )
    return DistilledStudent(distiller.student, history)


def _make_restorer(model: nn.Module) -> Callable[[], None]:
    """What puts a model's modes, and which parameters learn, back to what they are now."""
    modes = [(module, module.training) for module in model.modules()]
    learns = [(parameter, parameter.requires_grad) for parameter in model.parameters()]

    def restore() -> None:
        for module, mode in modes:
            module.training = mode
        for parameter, learn in learns:
            parameter.requires_grad_(learn)

    return restore


def _read_training(
    train: dict[str, Any], batch_size: int, forgets: bool, unscored: bool
) -> Training:
    """The settings of the training.

    Raises:
        InputError: for an unknown one, or one out of range.
    """
    for name, instead in OF_RECIPES.items():
        if name in train:
            raise InputError(f"{name}: got it, want {instead}")
    given = {"checkpoint_every_s": NEVER_S} if forgets else {}
    if train.get("optimizer") == "adamw":
        given["learning_rate"] = ADAMW_RATE
    usual = {"clip_norm": CLIP_NORM, **given}
    try:
        training = Training.model_validate({**usual, **train, "batch_size": batch_size})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(
            f"{where}: got {first['input']!r}: {message}" if where else message
        ) from error
    if unscored and (training.keep == "best" or training.early_stop_epochs is not None):
        raise InputError("keep, early_stop_epochs: got them without score, want what to go by")
    return training


def _make_judge(
    score: Callable[[nn.Module], float], training: Training
) -> Callable[[nn.Module], float]:
    """`score`, whose answer must be a number; where it decides what is kept, one that can be compared.

    Raises (when it is called):
        InputError: if it is none.
    """
    decides = training.keep == "best" or training.early_stop_epochs is not None

    def judge(model: nn.Module) -> float:
        value = score(model)
        try:
            number = float("text" if isinstance(value, str | bytes) else value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"score: got {type(value).__name__}, want a number") from error
        if decides and math.isnan(number):
            raise InputError("score: got nan, want a number: it decides which epoch is kept")
        return number

    return judge


def _zeros(inputs: Inputs) -> Inputs:
    """Two samples of zeros in the shapes of `inputs`."""
    return tuple(torch.zeros_like(each[:2]).to(choose_device()) for each in inputs)


def _arithmetic(training: Training) -> Arithmetic:
    """What `auto` is where nothing is measured: float32 in torch's own memory order, on its threads, not compiled."""
    precision, last = training.precision, training.channels_last
    return Arithmetic(
        precision="fp32" if precision == "auto" else precision,
        channels_last=last is True,
        threads=training.threads or torch.get_num_threads(),
        # Where there is none the training says so and goes on without.
        compiler=(find_compiler() or "c++") if training.compile is True else None,
    )

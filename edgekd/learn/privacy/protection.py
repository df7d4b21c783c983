"""From what a recipe allows to be told of a sample to the mechanism that keeps to it."""

from __future__ import annotations

from edgekd.errors import InputError
from edgekd.launch.environment import read_launch
from edgekd.learn.assembly.step import DistillationStep
from edgekd.learn.data.loader import Samples
from edgekd.learn.method.readout import require_unmixed
from edgekd.learn.privacy import accounting
from edgekd.learn.privacy import dp_sgd
from edgekd.learn.privacy.dp_sgd import Privacy
from edgekd.learn.settings import PrivacySettings
from edgekd.learn.settings import Training


def build_mechanism(
    words: PrivacySettings,
    training: Training,
    samples: Samples,
    whole: DistillationStep,
    precision: str,
) -> Privacy:
    """Build the mechanism whose noise spends what `words` allow over all steps of one training.

    Args:
        words: of the recipe.
        training: how long, in which batches.
        samples: those that are protected.
        whole: what is trained on them.
        precision: of the arithmetic.

    Raises:
        InputError: if the claim could not be kept with these; says what to use instead.
    """
    if precision == "fp16":
        raise InputError("private: got train.precision fp16, want bf16 or fp32")
    if (count := read_launch().size) > 1:
        raise InputError(f"private: got {count} ranks, want one process")
    if samples.dataset.find_labelled(samples.rows) is not None:
        raise InputError("private: got samples that have no label, want all to have one")
    if words.delta * len(samples) >= 1:
        raise InputError(
            f"private.delta: got {words.delta:g} for {len(samples)} samples, want less than one over "
            f"them: {1 / len(samples):.1g}"
        )
    steps = training.epochs * (len(samples) // training.batch_size)
    rate = training.batch_size / len(samples)
    try:
        require_unmixed(samples)
        dp_sgd.require_private_batch(training.batch_size, len(samples))
        dp_sgd.require_private(whole.student, whole.scheme, whole.connection.terms, samples.classes)
        noise = accounting.find_noise(words.epsilon, words.delta, rate, steps)
    except ValueError as error:
        raise InputError(f"private: {error}") from error
    return Privacy(noise, words.max_norm, training.batch_size)

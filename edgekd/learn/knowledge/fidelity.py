"""How far answers that are read back are off what the teacher gave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class AnswerErrors(NamedTuple):
    """Of each sample, [B]."""

    difference: NDArray[np.float64]
    """The largest absolute difference of a value."""
    divergence: NDArray[np.float64]
    """KL(given || read back) of the softmax, nats; 0 where an answer is not the logits of one class."""


def find_errors(
    outputs: Sequence[NDArray[np.float32]], stored: Sequence[NDArray[np.float32]]
) -> AnswerErrors:
    """Compare outputs [B, ...] of a teacher with those that are read back."""
    pairs = [
        (a.reshape(len(a), -1), b.reshape(len(b), -1)) for a, b in zip(outputs, stored, strict=True)
    ]
    with np.errstate(invalid="ignore"):  # infinities that agree
        apart = [np.abs(np.where(a == b, 0, a.astype(np.float64) - b)).max(1) for a, b in pairs]
    divergence = np.zeros(len(outputs[0]))
    if len(outputs) == 1 and outputs[0].ndim == 2:
        divergence = compute_divergence(outputs[0], stored[0])
    return AnswerErrors(np.max(apart, axis=0), divergence)


def compute_divergence(
    logits: NDArray[np.float32], other: NDArray[np.float32], temperature: float = 1.0
) -> NDArray[np.float64]:
    """KL(logits || other) of the softmax at a temperature, nats, [B]."""
    one, two = _log_softmax(logits / temperature), _log_softmax(other / temperature)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(np.exp(one) > 0, np.exp(one) * (one - two), 0).sum(1))


def join_errors(errors: Sequence[AnswerErrors]) -> dict[str, float]:
    """Their largest difference and the mean and largest divergence, to six digits."""
    difference, divergence = (np.concatenate(each) for each in zip(*errors, strict=True))
    found = {
        "rows": float(len(difference)),
        "largest_difference": float(difference.max()),
        "mean_divergence_nats": float(divergence.mean()),
        "largest_divergence_nats": float(divergence.max()),
    }
    return {name: float(f"{value:.6g}") for name, value in found.items()}


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = logits.astype(np.float64)
    wide = wide - wide.max(1, keepdims=True)
    return np.asarray(wide - np.log(np.exp(wide).sum(1, keepdims=True)))

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
    layer_difference: NDArray[np.float64]
    """The largest absolute difference in a layer, as a part of the distance between that layer's least and largest
    value in the batch; 0 without layers."""


def find_errors(
    outputs: Sequence[NDArray[np.float32]], stored: Sequence[NDArray[np.float32]], layers: int = 0
) -> AnswerErrors:
    """Compare outputs [B, ...] of a teacher with those that are read back; the last `layers` are not answers."""
    answers = len(outputs) - layers
    pairs = [
        (a.reshape(len(a), -1), b.reshape(len(b), -1)) for a, b in zip(outputs, stored, strict=True)
    ]
    with np.errstate(invalid="ignore"):  # infinities that agree
        apart = [np.abs(np.where(a == b, 0, a.astype(np.float64) - b)).max(1) for a, b in pairs]
    divergence = within = np.zeros(len(outputs[0]))
    if answers == 1 and outputs[0].ndim == 2:
        divergence = compute_divergence(outputs[0], stored[0])
    if layers:
        spreads = [max(float(a.max() - a.min()), 1e-30) for a, _ in pairs[answers:]]
        within = np.max([d / s for d, s in zip(apart[answers:], spreads, strict=True)], axis=0)
    return AnswerErrors(np.max(apart[:answers], axis=0), divergence, within)


def compute_divergence(
    logits: NDArray[np.float32], other: NDArray[np.float32], temperature: float = 1.0
) -> NDArray[np.float64]:
    """KL(logits || other) of the softmax at a temperature, nats, [B]."""
    one, two = _log_softmax(logits / temperature), _log_softmax(other / temperature)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(np.exp(one) > 0, np.exp(one) * (one - two), 0).sum(1))


def join_errors(errors: Sequence[AnswerErrors]) -> dict[str, float]:
    """Their largest differences and the mean and largest divergence, to six digits."""
    difference, divergence, within = (np.concatenate(each) for each in zip(*errors, strict=True))
    found = {
        "rows": float(len(difference)),
        "largest_difference": float(difference.max()),
        "mean_divergence_nats": float(divergence.mean()),
        "largest_divergence_nats": float(divergence.max()),
    }
    if within.any():
        found["largest_layer_difference"] = float(within.max())
    return {name: float(f"{value:.6g}") for name, value in found.items()}


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = logits.astype(np.float64)
    wide = wide - wide.max(1, keepdims=True)
    return np.asarray(wide - np.log(np.exp(wide).sum(1, keepdims=True)))

"""How far answers that are read back are off what the teacher gave."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.learn.knowledge.rows import CutLogits


class AnswerErrors(NamedTuple):
    """Of each sample, [B]."""

    difference: NDArray[np.float64]
    """The largest absolute difference of a value."""
    divergence: NDArray[np.float64]
    """KL(given || read back) of the softmax, nats; 0 where an answer is not the logits of one class."""
    layer_difference: NDArray[np.float64]
    """The largest absolute difference in a layer, as a part of the distance between that layer's least and largest
    value in the batch; 0 without layers."""
    rest: NDArray[np.float64] | None = None
    """Probability of all classes that are not stored one by one; None where it is not looked at."""


def find_errors(
    outputs: Sequence[NDArray[np.float32]],
    stored: Sequence[NDArray[np.float32]],
    layers: int = 0,
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


def find_cut_errors(given: CutLogits, stored: CutLogits, temperature: float = 1.0) -> AnswerErrors:
    """Compare logits of the likeliest classes with those that are read back, at the temperature of their rests.

    The divergence is over those classes and all others as one; of classes that one side alone names, the weight is with
    the others.
    """
    starts = np.arange(len(given))[:, None] * given.classes
    ours, theirs = (starts + each.indices.astype(np.int64) for each in (given, stored))
    shared = np.isin(ours, theirs), np.isin(theirs, ours)
    one = np.where(shared[0], given.values, -np.inf)
    two = np.full_like(one, -np.inf)
    two[shared[0]] = stored.values[shared[1]]
    whole = []
    for each, known, values in zip((given, stored), shared, (one, two), strict=True):
        beside = np.where(known, -np.inf, each.values)
        rest = np.concatenate([beside, each.rest[:, None]], axis=1) / temperature
        joined = np.logaddexp.reduce(rest, axis=1, keepdims=True)
        whole.append(np.concatenate([values / temperature, joined], axis=1))
    with np.errstate(invalid="ignore"):
        apart = np.abs(np.where(one == two, 0, one.astype(np.float64) - two)).max(1)
    weight = np.exp(_log_softmax(whole[0])[:, -1])
    nothing = np.zeros(len(given))
    return AnswerErrors(apart, compute_divergence(whole[0], whole[1]), nothing, weight)


def compute_divergence(
    logits: NDArray[np.float32], other: NDArray[np.float32], temperature: float = 1.0
) -> NDArray[np.float64]:
    """KL(logits || other) of the softmax at a temperature, nats, [B]."""
    one, two = _log_softmax(logits / temperature), _log_softmax(other / temperature)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(np.exp(one) > 0, np.exp(one) * (one - two), 0).sum(1))


def join_errors(errors: Sequence[AnswerErrors]) -> dict[str, float]:
    """Their largest differences and the mean and largest divergence, to six digits."""
    difference, divergence, within = (
        np.concatenate(each) for each in zip(*(error[:3] for error in errors), strict=True)
    )
    found = {
        "rows": float(len(difference)),
        "largest_difference": float(difference.max()),
        "mean_divergence_nats": float(divergence.mean()),
        "largest_divergence_nats": float(divergence.max()),
    }
    if within.any():
        found["largest_layer_difference"] = float(within.max())
    rests = [error.rest for error in errors if error.rest is not None]
    if rests:
        found["mean_rest_probability"] = float(np.concatenate(rests).mean())
    return {name: float(f"{value:.6g}") for name, value in found.items()}


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = logits.astype(np.float64)
    wide = wide - wide.max(1, keepdims=True)
    return np.asarray(wide - np.log(np.exp(wide).sum(1, keepdims=True)))

"""Whether a classifier is as sure as it is right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from typing import NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 15
COLDEST, HOTTEST = 0.01, 100.0
"""Temperatures between which the best one is looked for."""
HALVINGS = 60


class Bin(NamedTuple):
    """Samples answered about equally surely."""

    low: float
    high: float
    samples: int
    confidence: float
    """Mean probability of the named class; 0 without samples."""
    accuracy: float
    """Share of them that is right; 0 without samples."""


def log_probabilities(
    logits: NDArray[np.floating], temperature: float = 1.0
) -> NDArray[np.float64]:
    """Log-softmax of `logits` [N, C] over the classes, in float64, nats.

    Raises:
        ValueError: if they are not [N, C], N > 0, or not finite.
    """
    if logits.ndim != 2 or not logits.size:
        raise ValueError(f"want logits [N, C], got {logits.shape}")
    if not np.isfinite(logits).all():
        raise ValueError("got logits that are not finite")
    scaled: NDArray[np.float64] = logits.astype(np.float64) / temperature
    scaled -= scaled.max(1, keepdims=True)
    scaled -= np.log(np.exp(scaled).sum(1, keepdims=True))
    return scaled


def negative_log_likelihood(
    logits: NDArray[np.floating], labels: NDArray[np.int64], temperature: float = 1.0
) -> float:
    """Mean of -log p(label), nats.

    Args:
        logits: [N, C].
        labels: [N], class indices.
        temperature: what the logits are divided by.

    Raises:
        ValueError: if the shapes do not fit or a label is no class.
    """
    told = log_probabilities(logits, temperature)
    _want_labels(told, labels)
    return float(-told[np.arange(len(labels)), labels].mean())


def brier(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Mean squared distance of the probabilities from the truth, summed over classes: 0 to 2.

    Brier 1950, Monthly Weather Review 78.

    Args:
        logits: [N, C].
        labels: [N], class indices.

    Raises:
        ValueError: if the shapes do not fit or a label is no class.
    """
    told = np.exp(log_probabilities(logits))
    _want_labels(told, labels)
    told[np.arange(len(labels)), labels] -= 1
    return float((told * told).sum(1).mean())


def equal_width(
    logits: NDArray[np.floating], labels: NDArray[np.int64], *, bins: int = BINS
) -> tuple[Bin, ...]:
    """Samples by confidence in bins ((m - 1) / M, m / M] (Guo et al. 2017, arXiv:1706.04599, sec. 2).

    Args:
        logits: [N, C].
        labels: [N], class indices.
        bins: M.

    Returns:
        M of them, those without samples too.
    """
    sure, right = _confidence(logits, labels)
    edges = np.arange(bins + 1) / bins
    number = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, bins - 1)
    return tuple(
        _bin(edges[m], edges[m + 1], sure[number == m], right[number == m]) for m in range(bins)
    )


def equal_mass(
    logits: NDArray[np.floating], labels: NDArray[np.int64], *, bins: int = BINS
) -> tuple[Bin, ...]:
    """Samples by confidence, as many in every bin (Nguyen and O'Connor 2015, arXiv:1508.05154).

    Args:
        logits: [N, C].
        labels: [N], class indices.
        bins: how many; fewer where there are fewer samples.

    Returns:
        Bins whose ends are the least and the greatest confidence in them; none is empty.
    """
    sure, right = _confidence(logits, labels)
    order = np.argsort(sure, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return tuple(_bin(sure[p[0]], sure[p[-1]], sure[p], right[p]) for p in parts)


def calibration_error(bins: Iterable[Bin]) -> float:
    """Expected calibration error: mean of |accuracy - confidence| over samples (Guo et al. 2017, eq. 3).

    Raises:
        ValueError: if there are no samples.
    """
    found = tuple(bins)
    samples = sum(one.samples for one in found)
    if not samples:
        raise ValueError("want at least one sample")
    return sum(one.samples * abs(one.accuracy - one.confidence) for one in found) / samples


def best_temperature(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """The temperature that makes the labels likeliest (Guo et al. 2017, sec. 4.2).

    The likelihood is log-concave in 1 / T: its slope, the mean of E_p[z] - z_label, rises with 1 / T,
    and where it crosses 0 is found by halving.

    Args:
        logits: [N, C].
        labels: [N], class indices.

    Returns:
        T, between `COLDEST` and `HOTTEST`; above 1 for a model that is too sure of itself. At an end
        where no finite one is best: all labels are right, or the answers tell nothing.

    Raises:
        ValueError: if the shapes do not fit or a label is no class.
    """
    z = logits.astype(np.float64)
    low, high = np.log(1 / HOTTEST), np.log(1 / COLDEST)
    _want_labels(z, labels)
    above = (
        z - z[np.arange(len(labels)), labels, None]
    )  # not E_p[z] - z_label: that rounds to 0 early
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        told = np.exp(log_probabilities(z, float(np.exp(-middle))))
        if (told * above).sum() < 0:
            low = middle
        else:
            high = middle
    return float(np.exp(-(low + high) / 2))


def _confidence(
    logits: NDArray[np.floating], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Probability of the named class [N], and whether it is the label's [N]."""
    told = log_probabilities(logits)
    _want_labels(told, labels)
    return np.exp(told.max(1)), logits.argmax(1) == labels


def _bin(low: float, high: float, sure: NDArray[np.float64], right: NDArray[np.bool_]) -> Bin:
    if not len(sure):
        return Bin(float(low), float(high), 0, 0.0, 0.0)
    return Bin(float(low), float(high), len(sure), float(sure.mean()), float(right.mean()))


def _want_labels(logits: NDArray[np.floating], labels: NDArray[np.int64]) -> None:
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or not logits.size:
        raise ValueError(f"want [N, C] and [N], got {logits.shape} and {labels.shape}")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise ValueError(f"want labels from 0 to {logits.shape[1] - 1}, got {labels.max()}")

"""What logits of every token say of those that a text has: how likely they are, and which is likeliest. Numpy alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from edgekd.task import ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

_MOST_NATS = 700.0
"""Beyond it a perplexity is no float any more."""
_HELD = 2**17
"""Numbers in float64 at a time: they stay in a core's cache."""


def log_sum(logits: NDArray[Any]) -> NDArray[np.float64]:
    """The logarithm of the sum of exponentials in float64, [P] of [P, V], some rows at a time: a vocabulary is large."""
    places, vocabulary = logits.shape
    count = max(1, _HELD // max(1, vocabulary))
    held, found = np.empty((min(count, places), vocabulary)), np.empty(places)
    for start in range(0, places, count):
        some = logits[start : start + count]
        most = some.max(axis=1, initial=-np.inf).astype(np.float64)
        wide = np.subtract(some, most[:, None], out=held[: len(some)], dtype=np.float64)
        found[start : start + count] = most + np.log(np.exp(wide, out=wide).sum(axis=1))
    return found


def sum_surprise(
    logits: NDArray[Any], wanted: NDArray[np.int64], ignored: int
) -> NDArray[np.float64]:
    """[N, 2]: the negative log-likelihood of all tokens that count, in nats, and how many they are.

    Args:
        logits: [N, L, V].
        wanted: tokens [N, L].
        ignored: stands for none.
    """
    rows = np.zeros((len(wanted), 2))
    for row, own, tokens in zip(rows, logits, wanted, strict=True):
        counted = tokens != ignored
        some = own if counted.all() else own[counted]
        found = np.take_along_axis(some, tokens[counted][:, None], axis=1)[:, 0]
        row[:] = (log_sum(some) - found).sum(), counted.sum()
    return rows


def perplexity(rows: NDArray[np.float64]) -> float:
    """The exponential of the mean negative log-likelihood of a token, of rows as `sum_surprise` gives them."""
    return math.exp(min(ratio(rows[:, :2]), _MOST_NATS))


def count_correct(
    logits: NDArray[Any], wanted: NDArray[np.int64], ignored: int
) -> NDArray[np.float64]:
    """[N, 2]: how many tokens are the likeliest in their places, and how many count; arguments as `sum_surprise`."""
    right = logits.argmax(2) == wanted  # what stands for none is no token
    return np.stack([right.sum(1), (wanted != ignored).sum(1)], axis=1).astype(np.float64)


def guess_by_frequency(
    wanted: NDArray[np.int64], vocabulary: int, ignored: int
) -> NDArray[np.float64]:
    """The logarithm of how often each token is wanted, in every place, [N, L, V]."""
    counts = np.bincount(wanted[wanted != ignored], minlength=vocabulary)
    logits = np.log(counts + 1e-9).reshape(1, 1, -1)
    return np.broadcast_to(logits, (*wanted.shape, vocabulary))

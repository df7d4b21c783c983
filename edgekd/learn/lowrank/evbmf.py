"""The rank that a matrix has beneath its noise, from its singular values alone (EVBMF).

Nakajima, Sugiyama, Babacan, Tomioka 2013, "Global analytic solution of fully-observed variational
Bayesian matrix factorization", JMLR 14: the empirical solution is a threshold on the singular
values; the noise's variance minimises the free energy, a function of one number.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TAU = 2.5129
"""Where the free energy of one component changes its sign, for a square matrix: tau = TAU sqrt(alpha)."""


def estimate_rank(matrix: NDArray[np.float64]) -> int:
    """Estimate how many components stand out of the noise, 0 to the smaller side.

    Args:
        matrix: [rows, columns], any two sizes.

    Raises:
        ValueError: if it is no matrix or holds what is no number.
    """
    if matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise ValueError(f"got an array {list(matrix.shape)}, want a matrix of finite numbers")
    short, long = sorted(matrix.shape)
    squares = np.asarray(np.linalg.svd(matrix, compute_uv=False), np.float64) ** 2
    if not squares[0] > 0:
        return 0
    limit = _limit(short / long)
    variance = _noise(squares, short, long, limit)
    return int((squares > long * variance * limit).sum())


def _limit(alpha: float) -> float:
    """The threshold on gamma^2 / (M sigma^2)."""
    tau = TAU * math.sqrt(alpha)
    return (1 + tau) * (1 + alpha / tau)


def _noise(squares: NDArray[np.float64], short: int, long: int, limit: float) -> float:
    """The noise's variance: the least free energy between the bounds the paper proves."""
    from scipy.optimize import minimize_scalar

    alpha = short / long
    largest = min(math.ceil(short / (1 + alpha)) - 1, short - 1)
    upper = squares.sum() / (short * long)
    tail = squares[largest:]
    lower = max(squares[largest] / (long * limit), tail.mean() / long, upper * 1e-12)
    if lower >= upper:
        return float(upper)
    found = minimize_scalar(
        lambda log: _free_energy(math.exp(log), squares, alpha, long, limit),
        bounds=(math.log(lower), math.log(upper)),
        method="bounded",
    )
    return math.exp(float(found.x))


def _free_energy(
    variance: float, squares: NDArray[np.float64], alpha: float, long: int, limit: float
) -> float:
    """Twice the free energy over the long side, up to what does not depend on the variance.

    With x = gamma^2 / (M sigma^2): x - log x of each component, and for those above the threshold
    log(tau + 1) + alpha log(tau / alpha + 1) - tau more, tau(x) the larger root of
    x = (1 + tau)(1 + alpha / tau).
    """
    x = np.maximum(squares / (long * variance), 1e-300)
    above = x[x > limit]
    shifted = above - (1 + alpha)
    tau = (shifted + np.sqrt(np.maximum(shifted**2 - 4 * alpha, 0))) / 2
    more = np.log(tau + 1) + alpha * np.log(tau / alpha + 1) - tau
    return float((x - np.log(x)).sum() + more.sum())

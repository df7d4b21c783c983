"""EVBMF on matrices whose rank is known, at noise that leaves no doubt."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekd.learn.lowrank import evbmf


def matrix(rows: int, columns: int, rank: int, noise: float, seed: int = 0) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    signal = random.standard_normal((rows, rank)) @ random.standard_normal((rank, columns))
    return signal + noise * random.standard_normal((rows, columns))


@pytest.mark.parametrize("shape", [(40, 90), (90, 40), (64, 64), (32, 288)])
@pytest.mark.parametrize("rank", [1, 5, 12])
@pytest.mark.parametrize("noise", [0.05, 0.5])
def test_the_rank_beneath_the_noise(shape: tuple[int, int], rank: int, noise: float) -> None:
    assert evbmf.estimate_rank(matrix(*shape, rank, noise)) == rank


def test_noise_alone_has_no_rank() -> None:
    assert evbmf.estimate_rank(matrix(50, 80, 1, 1.0) - matrix(50, 80, 1, 0.0)) in (0, 1)
    assert evbmf.estimate_rank(np.random.default_rng(3).standard_normal((60, 200))) == 0
    assert evbmf.estimate_rank(np.zeros((4, 5))) == 0


def test_the_scale_does_not_matter() -> None:
    made = matrix(30, 70, 4, 0.2)
    assert (
        evbmf.estimate_rank(made)
        == evbmf.estimate_rank(1e-6 * made)
        == evbmf.estimate_rank(made.T)
        == 4
    )


@pytest.mark.parametrize("bad", [np.zeros(3), np.full((3, 3), np.nan)])
def test_what_is_no_matrix_is_refused(bad: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="want a matrix"):
        evbmf.estimate_rank(bad)


@pytest.mark.parametrize(("rows", "columns"), [(40, 400), (60, 120), (80, 80)])
def test_the_noise_is_found_too(rows: int, columns: int) -> None:
    """The least free energy lies at the noise's true variance, 0.25, within what its sampling allows."""
    squares = np.linalg.svd(matrix(rows, columns, 4, 0.5), compute_uv=False) ** 2
    limit = evbmf._limit(rows / columns)
    assert evbmf._noise(squares, rows, columns, limit) == pytest.approx(0.25, rel=0.08)


def test_the_free_energy_is_the_papers() -> None:
    """By hand, alpha = 1/4: x = 9 is above the threshold , x = 2 is below it."""
    alpha, long, variance = 0.25, 8, 0.5
    squares = np.array([9.0, 2.0]) * long * variance
    tau = max(np.roots([1, 1 + alpha - 9, alpha]))  # x tau = (1 + tau)(tau + alpha)
    below = (9 - np.log(9)) + (2 - np.log(2))
    want = below + np.log(tau + 1) + alpha * np.log(tau / alpha + 1) - tau
    got = evbmf._free_energy(variance, squares, alpha, long, evbmf._limit(alpha))
    assert got == pytest.approx(want, rel=1e-12)


def test_the_constant_is_the_root_that_the_paper_defines() -> None:
    """Nakajima et al. 2013, eq. 20: where log(z + 1) / z - 1/2 changes its sign."""
    from scipy.optimize import brentq

    root = brentq(lambda z: np.log(z + 1) / z - 0.5, 1, 5, xtol=1e-12)
    assert pytest.approx(root, abs=5e-5) == evbmf.TAU


@pytest.mark.parametrize("alpha", [0.25, 1.0])
def test_the_limit_of_noise(alpha: float) -> None:
    """(1 + tau)(1 + alpha / tau) with tau = 2.5129 sqrt(alpha); above the largest value of pure noise."""
    tau = 2.51286 * alpha**0.5
    assert evbmf._limit(alpha) == pytest.approx((1 + tau) * (1 + alpha / tau), rel=1e-4)
    assert evbmf._limit(alpha) > (1 + alpha**0.5) ** 2

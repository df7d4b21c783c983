"""What a number of private steps costs in differential privacy, as Opacus counts it."""

from __future__ import annotations

import warnings
from typing import Literal

Accountant = Literal["rdp", "prv"]
"""By Renyi divergences (Mironov et al. 2019, arXiv:1908.10530), or by the privacy loss's distribution
(Gopi et al. 2021, arXiv:2106.02848), which is tighter and slower."""


def spent_epsilon(
    noise: float, *, rate: float, steps: int, delta: float, accountant: Accountant = "rdp"
) -> float:
    """Return the epsilon of (epsilon, delta)-differential privacy after `steps` steps.

    Holds where every sample takes part in every step with probability `rate`, by itself (see
    `edgekd.learn.privacy.dp_sgd.private_batches`). Neighbours differ in one sample that is there or not.

    Args:
        noise: standard deviation of the noise over the largest norm of a sample's gradient.
        rate: expected batch size / samples, above 0, at most 1.
        steps: how many.
        delta: above 0, below 1; well below 1 / samples.
        accountant: who counts.

    Returns:
        Epsilon, infinite without noise.

    Raises:
        ValueError: if an argument is out of range.
    """
    _want_sampling(rate, steps, delta)
    if noise < 0:
        raise ValueError(f"noise: got {noise:g}, want at least 0")
    if noise == 0:
        return float("inf")
    from opacus.accountants import create_accountant

    counted = create_accountant(mechanism=accountant)
    counted.history = [(noise, rate, steps)]
    with warnings.catch_warnings():
        # That a larger order might give a smaller epsilon: what is given still holds.
        warnings.simplefilter("ignore")
        return float(counted.get_epsilon(delta=delta))


def find_noise(
    epsilon: float,
    delta: float,
    rate: float,
    steps: int,
    *,
    accountant: Accountant = "rdp",
    tolerance: float = 0.01,
) -> float:
    """Find the least noise after which `spent_epsilon` is at most `epsilon`.

    Args:
        epsilon: above 0.
        delta: above 0, below 1; well below 1 / samples.
        rate: expected batch size / samples, above 0, at most 1.
        steps: how many.
        accountant: who counts.
        tolerance: how far below `epsilon` what is spent may be.

    Returns:
        Standard deviation over the largest norm of a sample's gradient.

    Raises:
        ValueError: if an argument is out of range, or no noise is enough.
    """
    _want_sampling(rate, steps, delta)
    if epsilon <= 0 or tolerance <= 0:
        raise ValueError(f"want epsilon > 0 and tolerance > 0, got {epsilon:g} and {tolerance:g}")
    from opacus.accountants.utils import get_noise_multiplier

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            noise = get_noise_multiplier(
                target_epsilon=epsilon,
                target_delta=delta,
                sample_rate=rate,
                steps=steps,
                accountant=accountant,
                epsilon_tolerance=min(tolerance, epsilon / 100),
            )
    except ValueError as error:
        raise ValueError(
            f"epsilon: got {epsilon:g}, which no noise reaches at delta {delta:g}, want it larger"
        ) from error
    return float(noise)


def _want_sampling(rate: float, steps: int, delta: float) -> None:
    if not 0 < rate <= 1 or steps < 1 or not 0 < delta < 1:
        raise ValueError(
            f"want 0 < rate <= 1, steps >= 1, 0 < delta < 1, got {rate:g}, {steps}, {delta:g}"
        )

"""What private steps cost: Opacus' numbers beside the formulas written out."""

from __future__ import annotations

import math

import pytest

from edgekd.learn.privacy.accounting import find_noise
from edgekd.learn.privacy.accounting import spent_epsilon

pytest.importorskip("opacus")

MNIST = {"rate": 256 / 60_000, "steps": 14_062, "delta": 1e-5}
"""60 epochs of batches of 256."""


def by_hand(noise: float, rate: float, steps: int, delta: float) -> float:
    """Of whole orders alone: Mironov et al. 2019 (arXiv:1908.10530, sec. 3.3), Balle et al. 2020 (th. 21)."""
    found = []
    for order in range(2, 40):
        moment = math.fsum(
            math.comb(order, k)
            * (1 - rate) ** (order - k)
            * rate**k
            * math.exp(k * (k - 1) / (2 * noise**2))
            for k in range(order + 1)
        )
        divergence = steps * math.log(moment) / (order - 1)
        found.append(
            divergence
            - (math.log(delta) + math.log(order)) / (order - 1)
            + math.log((order - 1) / order)
        )
    return min(found)


def test_mnist_by_hand() -> None:
    """More orders make it a little less than by whole ones."""
    whole = by_hand(1.1, **MNIST)
    assert whole == pytest.approx(2.597, abs=1e-3)
    assert whole - 0.01 < spent_epsilon(1.1, **MNIST) <= whole


def test_without_sampling_it_is_gaussian_noise() -> None:
    """At rate 1 the divergence of order a is steps * a / (2 noise^2)."""
    noise, steps, delta = 8.0, 10, 1e-5
    orders = [1 + n / 10 for n in range(1, 100)] + list(range(12, 64))
    want = min(
        steps * a / (2 * noise**2)
        - (math.log(delta) + math.log(a)) / (a - 1)
        + math.log((a - 1) / a)
        for a in orders
    )
    assert spent_epsilon(noise, rate=1.0, steps=steps, delta=delta) == pytest.approx(want, rel=1e-9)


def test_the_tighter_accountant_says_less() -> None:
    assert spent_epsilon(1.1, **MNIST, accountant="prv") == pytest.approx(2.39, abs=0.02)


def test_opacus_numbers_for_a_known_setting() -> None:
    from opacus.accountants import RDPAccountant

    counted = RDPAccountant()
    for _ in range(30):
        counted.step(noise_multiplier=0.9, sample_rate=0.02)
    assert spent_epsilon(0.9, rate=0.02, steps=30, delta=1e-4) == counted.get_epsilon(1e-4)


@pytest.mark.parametrize("epsilon", [0.3, 1.0, 3.0, 20.0])
def test_the_noise_for_an_epsilon_spends_it_and_no_more(epsilon: float) -> None:
    noise = find_noise(epsilon, 1e-5, 0.05, 400)
    found = spent_epsilon(noise, rate=0.05, steps=400, delta=1e-5)
    assert 0.98 * epsilon <= found <= epsilon
    assert spent_epsilon(0.97 * noise, rate=0.05, steps=400, delta=1e-5) > epsilon


def test_more_steps_and_larger_batches_cost_more() -> None:
    base = spent_epsilon(1.0, rate=0.05, steps=400, delta=1e-5)
    assert spent_epsilon(1.0, rate=0.05, steps=800, delta=1e-5) > base
    assert spent_epsilon(1.0, rate=0.1, steps=400, delta=1e-5) > base
    assert spent_epsilon(1.0, rate=0.05, steps=400, delta=1e-6) > base
    assert spent_epsilon(2.0, rate=0.05, steps=400, delta=1e-5) < base
    assert spent_epsilon(0.0, rate=0.05, steps=400, delta=1e-5) == math.inf


@pytest.mark.parametrize(
    "wrong", [{"rate": 0.0}, {"rate": 1.1}, {"steps": 0}, {"delta": 0.0}, {"delta": 1.0}]
)
def test_what_is_out_of_range_is_refused(wrong: dict[str, float]) -> None:
    given = {"rate": 0.05, "steps": 10, "delta": 1e-5} | wrong
    with pytest.raises(ValueError, match="want 0 < rate <= 1"):
        spent_epsilon(1.0, **given)
    with pytest.raises(ValueError, match="want 0 < rate <= 1"):
        find_noise(1.0, given["delta"], given["rate"], int(given["steps"]))
    with pytest.raises(ValueError, match="noise: got -1"):
        spent_epsilon(-1.0, rate=0.05, steps=10, delta=1e-5)
    with pytest.raises(ValueError, match="epsilon: got 0.01, which no noise reaches"):
        find_noise(0.01, 1e-5, 0.05, 400)
    with pytest.raises(ValueError, match="want epsilon > 0"):
        find_noise(0.0, 1e-5, 0.05, 10)

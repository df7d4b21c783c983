"""Calibration by hand, against a slow loop and against scipy's optimizer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from edgekd.bench.explanation import calibration

SURE = np.array([[0.55, 0.45], [0.35, 0.65], [0.9, 0.1], [0.05, 0.95]])
"""Probabilities whose logarithms are logits: confidences 0.55, 0.65, 0.90 and 0.95."""
LABELS = np.array([0, 0, 0, 1])
"""Right, wrong, right, right."""


def logits_of(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(probabilities) + 3.0  # a constant changes nothing


def drawn(count: int = 500, classes: int = 6) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    generator = np.random.default_rng(3)
    logits = generator.normal(size=(count, classes)) * 2
    return logits, generator.integers(0, classes, count)


def test_the_error_of_two_bins_by_hand() -> None:
    bins = calibration.equal_width(logits_of(SURE), LABELS, bins=2)
    assert [one.samples for one in bins] == [0, 4]
    assert bins[1].confidence == pytest.approx(0.7625) and bins[1].accuracy == 0.75
    assert calibration.calibration_error(bins) == pytest.approx(0.0125)


def test_the_error_of_ten_bins_by_hand() -> None:
    # (0.5, 0.6] right: |1 - 0.55|; (0.6, 0.7] wrong: |0 - 0.65|; (0.8, 0.9]: 0.1; (0.9, 1]: 0.05.
    bins = calibration.equal_width(logits_of(SURE), LABELS, bins=10)
    assert [one.samples for one in bins] == [0, 0, 0, 0, 0, 1, 1, 0, 1, 1]
    want = (0.45 + 0.65 + 0.1 + 0.05) / 4
    assert calibration.calibration_error(bins) == pytest.approx(want)


def test_fifteen_bins_against_a_slow_loop() -> None:
    logits, labels = drawn()
    total = 0.0
    told = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for m in range(1, 16):
        here = [i for i, row in enumerate(told) if (m - 1) / 15 < row.max() <= m / 15]
        if here:
            accuracy = sum(told[i].argmax() == labels[i] for i in here) / len(here)
            total += len(here) * abs(accuracy - sum(told[i].max() for i in here) / len(here))
    found = calibration.calibration_error(calibration.equal_width(logits, labels))
    assert found == pytest.approx(total / len(labels))


def test_a_confidence_on_an_edge_counts_below_it() -> None:
    halves = np.zeros((3, 2))  # a confidence of exactly 1/2
    bins = calibration.equal_width(halves, np.array([0, 0, 1]), bins=4)
    assert [one.samples for one in bins] == [0, 3, 0, 0]


def test_bins_of_equal_mass_by_hand() -> None:
    bins = calibration.equal_mass(logits_of(SURE), LABELS, bins=2)
    assert [one.samples for one in bins] == [2, 2]
    assert (bins[0].low, bins[0].high) == pytest.approx((0.55, 0.65))
    # |1/2 - 0.6| and |1 - 0.925|, half of the samples each.
    assert calibration.calibration_error(bins) == pytest.approx((0.1 + 0.075) / 2)
    many = calibration.equal_mass(logits_of(SURE), LABELS)
    assert [one.samples for one in many] == [1, 1, 1, 1]


def test_brier_and_likelihood_by_hand() -> None:
    told, labels = logits_of(np.array([[0.5, 0.3, 0.2], [0.1, 0.7, 0.2]])), np.array([0, 2])
    first, second = 0.25 + 0.09 + 0.04, 0.01 + 0.49 + 0.64
    assert calibration.brier(told, labels) == pytest.approx((first + second) / 2)
    want = -(math.log(0.5) + math.log(0.2)) / 2
    assert calibration.negative_log_likelihood(told, labels) == pytest.approx(want)
    softer = calibration.negative_log_likelihood(np.array([[2.0, 0.0]]), np.array([0]), 4.0)
    assert softer == pytest.approx(math.log1p(math.exp(-0.5)))


def test_the_best_temperature_is_the_optimizers() -> None:
    logits, _ = drawn(3000)
    generator = np.random.default_rng(5)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    odds /= odds.sum(1, keepdims=True)
    labels = (odds.cumsum(1) > generator.random((len(odds), 1))).argmax(1)
    told = 2.5 * logits  # labels drawn at temperature 1: too sure by 2.5

    def loss(log_t: float) -> float:
        return calibration.negative_log_likelihood(told, labels, math.exp(log_t))

    want = math.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x)
    found = calibration.best_temperature(told, labels)
    assert found == pytest.approx(want, rel=1e-4) and 2.2 < found < 2.8


def test_a_temperature_without_a_best_ends_at_its_limit() -> None:
    told = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert calibration.best_temperature(told, np.array([0, 1])) == pytest.approx(0.01)
    assert calibration.best_temperature(told, np.array([1, 0])) == pytest.approx(100.0)


def test_huge_half_precision_logits_stay_finite() -> None:
    told = np.array([[6e4, -6e4], [-6e4, 6e4]], np.float16)
    labels = np.array([0, 0])
    assert np.isfinite(calibration.negative_log_likelihood(told, labels))
    assert calibration.brier(told, labels) == pytest.approx(1.0)
    assert calibration.calibration_error(calibration.equal_width(told, labels)) == 0.5


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        (np.zeros((2, 3)), np.array([0])),
        (np.zeros((2, 3)), np.array([0, 3])),
        (np.zeros((2, 3)), np.array([0, -1])),
        (np.zeros(3), np.array([0, 1, 2])),
        (np.zeros((0, 3)), np.array([], np.int64)),
        (np.array([[np.nan, 0.0]]), np.array([0])),
    ],
)
def test_what_does_not_fit_is_refused(
    logits: NDArray[np.float64], labels: NDArray[np.int64]
) -> None:
    for measure in (
        calibration.brier,
        calibration.negative_log_likelihood,
        calibration.equal_width,
        calibration.equal_mass,
        calibration.best_temperature,
    ):
        with pytest.raises(ValueError):
            measure(logits, labels)
    with pytest.raises(ValueError, match="at least one"):
        calibration.calibration_error([])

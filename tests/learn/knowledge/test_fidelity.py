"""Errors are stated in the units of an answer and in nats."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.learn.knowledge.fidelity import compute_divergence
from edgekd.learn.knowledge.fidelity import find_errors
from edgekd.learn.knowledge.fidelity import join_errors


def test_the_divergence_by_hand() -> None:
    given, other = np.log([[0.75, 0.25]]), np.zeros((1, 2))
    want = 0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.5)
    assert compute_divergence(given, other)[0] == pytest.approx(want)
    assert compute_divergence(given * 3, other, 3.0)[0] == pytest.approx(want)


def test_errors_of_several_batches_are_joined() -> None:
    exact = find_errors([np.array([[0, -np.inf]], np.float32)], [np.array([[0, -np.inf]])])
    off = find_errors([np.zeros((2, 2), np.float32)], [np.array([[0, 0], [0, -0.5]], np.float32)])
    found = join_errors([exact, off])
    assert found["rows"] == 3 and found["largest_difference"] == 0.5
    assert found["largest_divergence_nats"] == pytest.approx(
        3 * found["mean_divergence_nats"], 1e-5
    )
    assert found["mean_divergence_nats"] > 0


def test_outputs_that_are_no_classes_have_a_difference_alone() -> None:
    values = np.ones((2, 3, 3), np.float32)
    found = join_errors([find_errors([values], [values * 2])])
    assert found["largest_difference"] == 1 and found["largest_divergence_nats"] == 0

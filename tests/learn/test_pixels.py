from __future__ import annotations

import numpy as np
import pytest

from edgekd.learn.pixels import STD_FLOOR
from edgekd.learn.pixels import mean_and_std


def test_mean_and_std_are_those_of_numpy_in_float64() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2500, 3, 5, 3), dtype=np.uint8)
    order = np.random.default_rng(1).permutation(2500)[:2100]
    mean, std = mean_and_std(images, order)
    chosen = images[order].astype(np.float64) / 255
    assert mean == pytest.approx(chosen.mean((0, 1, 2)), abs=1e-6)
    assert std == pytest.approx(chosen.std((0, 1, 2)), abs=1e-6)
    assert all(value == round(value, 6) for value in mean + std)


def test_they_do_not_depend_on_the_order() -> None:
    images = np.random.default_rng(0).integers(0, 256, (1500, 2, 2, 1), dtype=np.uint8)
    assert mean_and_std(images, np.arange(1500)) == mean_and_std(images, np.arange(1500)[::-1])


def test_a_channel_that_never_changes_has_the_floor() -> None:
    images = np.full((4, 2, 2, 1), 255, np.uint8)
    assert mean_and_std(images, np.arange(4)) == ((1.0,), (round(STD_FLOOR, 6),))

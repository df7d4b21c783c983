"""Ranges from histograms: what they cover, and that least squares is least."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.learn.quant import ranges


def seen(values: np.ndarray) -> ranges.Histogram:
    histogram = ranges.Histogram()
    for part in np.array_split(values.astype(np.float32), 5):
        histogram.widen(part)
    for part in np.array_split(values.astype(np.float32), 5):
        histogram.count(part)
    return histogram


NORMAL = np.random.default_rng(0).standard_normal(20_000)
OUTLIER = np.append(np.abs(NORMAL), 1000.0)


def test_min_max_covers_all_and_zero() -> None:
    assert ranges.min_max(seen(NORMAL + 9), 256, False)[0] == 0
    assert ranges.min_max(seen(NORMAL), 256, False) == pytest.approx((NORMAL.min(), NORMAL.max()))


@pytest.mark.parametrize("share", [0.999, 0.99])
def test_a_percentile_leaves_that_share_inside(share: float) -> None:
    found = ranges.percentile(seen(NORMAL), 256, False, share=share)
    bin_width = (NORMAL.max() - NORMAL.min()) / ranges.BINS
    assert found.most == pytest.approx(np.quantile(NORMAL, share), abs=2 * bin_width)
    assert found.least == pytest.approx(np.quantile(NORMAL, 1 - share), abs=2 * bin_width)
    assert ranges.percentile(seen(np.abs(NORMAL)), 256, False, share=share).least == 0


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("levels", [256, 16])
def test_least_squares_errs_no_more_than_any_other(levels: int, symmetric: bool) -> None:
    for values in (NORMAL, np.abs(NORMAL), OUTLIER):
        histogram = seen(values)
        errors = {
            name: ranges.squared_error(
                histogram.centres(),
                histogram.counts,
                method(histogram, levels, symmetric),
                levels,
                symmetric,
            )
            for name, method in ranges.METHODS.items()
        }
        slack = 1.3 if values is OUTLIER else 1.02  # its grid of ranges is coarse
        assert errors["mse"] <= slack * min(errors.values())


def test_the_error_is_that_of_rounding() -> None:
    values, counts = np.array([0.24, 0.26, 9.0]), np.array([1.0, 1.0, 2.0])
    # step 1/3 over [0, 1] with 4 levels: 0.24 and 0.26 go to 1/3, 9 to 1
    got = ranges.squared_error(values, counts, ranges.Range(0, 1), 4, False)
    assert got == pytest.approx(((1 / 3 - 0.24) ** 2 + (1 / 3 - 0.26) ** 2 + 2 * 64) / 4)


@pytest.mark.parametrize("name", list(ranges.METHODS))
def test_a_constant_tensor_has_a_range(name: str) -> None:
    for constant in (0.0, 2.5, -2.5):
        found = ranges.METHODS[name](seen(np.full(100, constant)), 256, False)
        assert found.least <= min(constant, 0) + 1e-6 and found.most >= max(constant, 0) * 0.999


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        ranges.Histogram().widen(np.array([1.0, bad], np.float32))

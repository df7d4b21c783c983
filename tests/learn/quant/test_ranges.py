"""Ranges from histograms: what they cover, and that least squares is least."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings

from edgekd.learn.quant import ranges
from edgekd.learn.quant.quantizer import ActivationQuantizer


def seen(values: np.ndarray) -> ranges.Histogram:
    histogram = ranges.Histogram()
    for part in np.array_split(values.astype(np.float32), 5):
        histogram.widen(float(part.min()), float(part.max()))
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
    bin_width = 2 * (NORMAL.max() - NORMAL.min()) / ranges.BINS
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


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(-8, 8, width=32), st.integers(1, 9)), min_size=1, max_size=20),
    st.sampled_from([0.0, -0.5, -3.0]),
    st.sampled_from([0.0, 0.25, 5.0]),
    st.sampled_from([8, 4]),
    st.booleans(),
)
def test_the_error_is_that_of_the_quantizer_with_this_range(
    held: list[tuple[float, int]], least: float, most: float, bits: int, symmetric: bool
) -> None:
    quantizer = ActivationQuantizer("x", symmetric=symmetric, bits=bits)
    quantizer.set_range(least, most)
    values, counts = (np.array(part, np.float64) for part in zip(*held, strict=True))
    with torch.no_grad():
        rounded = quantizer(torch.from_numpy(values).float()[None])[0].double().numpy()
    want = float(np.sum(counts * (rounded - values) ** 2) / counts.sum())
    covered = ranges.Range(least, most)
    got = ranges.squared_error(values, counts, covered, 2**bits, symmetric)
    # a value halfway between two codes may fall to either: its error is the same but for float32
    assert got == pytest.approx(want, rel=1e-3, abs=1e-5)


def test_methods_cover_what_their_names_say() -> None:
    many = np.random.default_rng(1).standard_normal(400_000)
    histogram = seen(many)
    slack = 2 * histogram.width
    for name, share in (("percentile-99.99", 0.9999), ("percentile-99.9", 0.999)):
        least, most = ranges.METHODS[name](histogram, 256, False)
        assert most == pytest.approx(np.quantile(many, share), abs=slack)
        assert least == pytest.approx(np.quantile(many, 1 - share), abs=slack)


@pytest.mark.parametrize("name", list(ranges.METHODS))
def test_of_what_was_not_counted_the_extremes_are_covered(name: str) -> None:
    histogram = ranges.Histogram()
    histogram.widen(-1.0, 2.0)
    assert ranges.METHODS[name](histogram, 256, False) == (-1.0, 2.0)


def test_a_single_value_is_all_that_a_percentile_covers() -> None:
    histogram = ranges.Histogram()
    histogram.widen(-1.0, 2.0)
    histogram.count(np.array([0.5], np.float32))
    found = ranges.percentile(histogram, 256, False, share=0.999)
    assert found == pytest.approx((0.0, 0.5), abs=2 * histogram.width)


def test_a_percentile_never_covers_more_than_was_there() -> None:
    """Bins end beyond the extremes; and 0 is an end of what lies on one side of it."""
    for values in (NORMAL, NORMAL[:7]):
        extremes = (np.float32(values.min()), np.float32(values.max()))
        assert ranges.percentile(seen(values), 256, False, share=1.0) == extremes
    positive, negative = np.abs(NORMAL) + 1, -np.abs(NORMAL) - 1
    for share in (0.9, 0.6):
        above = ranges.percentile(seen(positive), 256, False, share=share)
        below = ranges.percentile(seen(negative), 256, False, share=share)
        slack = 2 * seen(positive).width
        assert above == pytest.approx((0.0, np.quantile(positive, share)), abs=slack)
        assert below == pytest.approx((np.quantile(negative, 1 - share), 0.0), abs=slack)


@pytest.mark.parametrize("name", list(ranges.METHODS))
def test_a_constant_tensor_has_a_range(name: str) -> None:
    for constant in (0.0, 2.5, -2.5):
        found = ranges.METHODS[name](seen(np.full(100, constant)), 256, False)
        assert found.least <= min(constant, 0) + 1e-6 and found.most >= max(constant, 0) * 0.999


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        ranges.Histogram().widen(min(bad, 1.0), max(bad, 1.0))


@settings(deadline=None)
@given(
    st.lists(
        st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=20), min_size=1, max_size=6
    )
)
def test_in_one_pass_every_value_is_counted_in_the_bin_it_lies_in(
    batches: list[list[float]],
) -> None:
    histogram = ranges.Histogram()
    for batch in batches:
        histogram.widen(min(batch), max(batch))
        histogram.count(np.array(batch, np.float32))
    values = np.array([value for batch in batches for value in batch])
    assert math.log2(histogram.width) == int(math.log2(histogram.width))
    edges = histogram.edges()
    assert np.array_equal(histogram.counts, np.histogram(values, edges)[0])
    assert edges[0] <= min(0, values.min()) and max(0, values.max()) < edges[-1]
    reach = histogram.most - histogram.least
    assert reach >= (ranges.BINS // 2 - 1) * histogram.width or histogram.width == 2**-40


@pytest.mark.parametrize("share", [0.5, 0.75, 0.9999])
@pytest.mark.parametrize("least", [0.0, -512.0])
def test_a_percentile_cuts_off_as_much_as_it_may_and_no_more(share: float, least: float) -> None:
    """Bins of width 1 that hold one value each: what is cut off is counted exactly."""
    most = least + ranges.BINS
    histogram = ranges.Histogram(least, most, np.ones(ranges.BINS), 1.0, int(least))
    found = ranges.percentile(histogram, 256, False, share=share)
    allowed = (1 - share) * ranges.BINS
    above, below = histogram.most - found.most, found.least - histogram.least
    assert above <= allowed + 1e-9 < above + 1
    if least < 0:
        assert below <= allowed + 1e-9 and (below + 1 >= allowed or found.least == 0)

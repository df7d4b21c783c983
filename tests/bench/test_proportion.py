from __future__ import annotations

import pytest
from scipy.stats import binomtest

from edgekd.bench import proportion


@pytest.mark.parametrize(("right", "tested"), [(0, 1), (1, 1), (9266, 10_000), (7, 10), (0, 360)])
def test_the_interval_is_wilsons(right: int, tested: int) -> None:
    want = binomtest(right, tested).proportion_ci(0.95, "wilson")
    found = proportion.wilson(right / tested, tested)
    assert found == pytest.approx((want.low, want.high), abs=1e-7)


def test_only_a_fraction_has_an_interval() -> None:
    for share, count in ((0.5, 0), (1.5, 10)):
        with pytest.raises(ValueError, match="want a fraction"):
            proportion.wilson(share, count)

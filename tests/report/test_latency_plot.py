from __future__ import annotations

import pytest

from edgekd.report import latency_plot
from tests.measured_example import measured


@pytest.mark.parametrize(("kind", "starts"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_the_same_times_give_the_same_picture(kind: str, starts: bytes) -> None:
    drawn = latency_plot.draw_plot([measured(6), measured(3)], kind)
    assert drawn.startswith(starts) and drawn == latency_plot.draw_plot(
        [measured(6), measured(3)], kind
    )


def test_subjects_stand_in_the_legend_with_their_median_and_failed_ones_do_not() -> None:
    gone = measured(0, failure="it crashed")
    text = latency_plot.draw_plot([measured(6), gone], "svg").decode()
    assert text.count("a b: median 1.002 ms") == 1


def test_a_curve_is_the_empirical_distribution() -> None:
    assert latency_plot.distribution_curve([3.0, 1.0, 2.0, 2.0]) == (
        [1.0, 2.0, 2.0, 3.0],
        [0.25, 0.5, 0.75, 1],
    )
    x, share = latency_plot.distribution_curve(range(100_000))
    assert len(x) == latency_plot.MOST_POINTS and (x[0], x[-1], share[-1]) == (0, 99_999, 1.0)
    assert all(
        one == pytest.approx((value + 1) / 100_000) for value, one in zip(x, share, strict=True)
    )
    with pytest.raises(ValueError, match="at least one"):
        latency_plot.distribution_curve([])

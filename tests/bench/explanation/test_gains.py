"""What is won and lost: counts by hand, McNemar by scipy, Holm by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from edgekd.bench.explanation import gains


def right(text: str) -> NDArray[np.bool_]:
    """``11.`` is right, right, wrong."""
    return np.array([sign == "1" for sign in text])


def test_a_change_by_hand() -> None:
    before, after = right("1111....11" * 10), right("11..111.11" * 10)
    found = gains.compare_answers(before, after)
    assert (found.corrected, found.lost) == (30, 20)
    assert found.points == pytest.approx(10.0)
    assert found.p_value == pytest.approx(binomtest(30, 50).pvalue)
    assert found.interval.low < 10 < found.interval.high
    # A difference of 30 and 20 of 100: its standard error is 7 points.
    assert found.interval.high - found.interval.low == pytest.approx(2 * 1.96 * 7.0, rel=0.1)


def test_the_other_way_round_is_the_opposite() -> None:
    one, other = right("111.....1." * 30), right(".1111...1." * 30)
    there, back = gains.compare_answers(one, other), gains.compare_answers(other, one)
    assert there.points == -back.points and there.p_value == back.p_value
    assert (there.corrected, there.lost) == (back.lost, back.corrected)
    same = gains.compare_answers(one, one)
    assert (same.points, same.p_value, tuple(same.interval)) == (0.0, 1.0, (0.0, 0.0))
    assert str(same.interval.high) == "0.0"


def test_classes_are_corrected_after_holm() -> None:
    # Class 0: 8 won, 0 lost; class 1: 6 won, 0 lost; class 2: 1 won, 1 lost; class 3 has no samples.
    labels = np.array([0] * 8 + [1] * 6 + [2] * 2 + [4] * 2)
    control = right("." * 14 + "1." + "11")
    student = right("1" * 14 + ".1" + "11")
    found = gains.compare_by_class(labels, {"control": control, "student": student})
    assert [one.number for one in found] == [0, 1, 2, 4]
    beside = [one.above["control"] for one in found]
    assert [b.points for b in beside] == [100, 100, 0, 0]
    assert [(b.corrected, b.lost) for b in beside] == [(8, 0), (6, 0), (1, 1), (0, 0)]
    p_values = [2 / 2**8, 2 / 2**6, 1.0, 1.0]
    assert [b.p_value for b in beside] == pytest.approx(p_values)
    assert [b.p_holm for b in beside] == pytest.approx([4 * p_values[0], 3 * p_values[1], 1, 1])
    assert found[0].accuracy == {"control": 0.0, "student": 1.0}
    assert found[2].samples == 2 and found[2].accuracy == {"control": 0.5, "student": 0.5}


def test_every_other_model_is_corrected_alone() -> None:
    labels = np.array([0] * 8 + [1] * 8)
    found = gains.compare_by_class(
        labels,
        {
            "teacher": right("1" * 16),
            "control": right("." * 8 + "1" * 8),
            "student": right("1" * 16),
        },
    )
    assert [one.above["teacher"].p_holm for one in found] == [1.0, 1.0]
    assert [one.above["control"].p_holm for one in found] == pytest.approx([4 / 2**8, 1.0])


def test_terms_left_out() -> None:
    whole = right("1" * 20)
    found = gains.compare_ablations(
        whole, {"kd": right("." * 10 + "1" * 10), "hint": right("." * 8 + "1" * 12)}
    )
    change, p_holm = found["kd"]
    assert (change.points, change.lost, change.corrected) == (-50, 10, 0)
    assert p_holm == pytest.approx(2 * 2 / 2**10)
    assert found["hint"][1] == pytest.approx(2 / 2**8)


def test_what_does_not_fit_is_refused() -> None:
    for one, other in ((right("1"), right("11")), (right(""), right(""))):
        with pytest.raises(ValueError, match="want two"):
            gains.compare_answers(one, other)
    with pytest.raises(ValueError, match="want two"):
        gains.compare_by_class(np.array([0]), {"student": right("11")})

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from edgekd.report.html import svg


def test_an_element_escapes_texts_and_attributes() -> None:
    made = svg.element(
        "a", "<script>", svg.text(1.0, 2.5, "a & b"), data_details='"><b>', class_="x"
    )
    root = ET.fromstring(made)
    assert root.text == "<script>" and root.attrib == {"data-details": '"><b>', "class": "x"}
    assert root[0].text == "a & b" and root[0].attrib["y"] == "2.5" and root[0].attrib["x"] == "1"


@pytest.mark.parametrize(
    ("low", "high", "want"),
    [(0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (94.2, 98.7, [95, 96, 97, 98]), (3, 3, [3])],
)
def test_ticks_are_round_and_inside(low: float, high: float, want: list[float]) -> None:
    assert svg.PlotAxis(low, high, 0, 100).ticks() == want


@pytest.mark.parametrize(("low", "high"), [(0.01, 1000), (0.012, 0.2), (0.11, 0.13), (1e-7, 1e2)])
def test_a_logarithmic_axis_has_a_few_ticks_inside(low: float, high: float) -> None:
    axis = svg.PlotAxis(low, high, 0, 100, logarithmic=True)
    ticks = axis.ticks()
    assert 2 <= len(ticks) <= 12 and all(low <= tick <= high for tick in ticks)
    assert axis.place(low) == 0 and axis.place(high) == 100 and axis.place(high * 9) == 100
    assert axis.place((low * high) ** 0.5) == pytest.approx(50)


def test_an_axis_leaves_room_even_around_one_value() -> None:
    assert svg.widen([2.0, 4.0], 0.1) == pytest.approx((1.8, 4.2))
    assert svg.widen([3.0]) == pytest.approx((2.85, 3.15)) and svg.widen([0.0]) == (-1.0, 1.0)
    low, high = svg.widen_log([0.1, 10.0])
    assert 0 < low < 0.1 and high > 10

from __future__ import annotations

import xml.etree.ElementTree as ET

from edgekd.report.html import confusion
from tests import report_example


def test_every_pair_has_a_square_that_says_how_many() -> None:
    drawn = ET.fromstring(confusion.draw_confusion([[8, 2], [0, 0]], ["<a>", "b" * 40]))
    cells = drawn.findall("rect")
    assert [cell.find("title").text for cell in cells[:2]] == [
        "<a> taken for <a>: 8 of 10",
        f"<a> taken for {'b' * 40}: 2 of 10",
    ]
    assert [cell.attrib["fill-opacity"] for cell in cells] == ["0.89", "0.45", "0.00", "0.00"]


def test_the_costliest_layer_comes_first_and_what_costs_nothing_has_no_mark() -> None:
    layers = [
        *report_example.SENSITIVITY["layers"],
        {"layer": "conv", "weight_distance": 1e-3, "input_distance": 0.1},
    ]
    drawn = ET.fromstring(confusion.draw_sensitivity(layers))
    names = [g.find("title").text for g in drawn.findall("g")]
    assert names == ["conv: weights 1.0e-03, input 1.0e-01", "fc: weights 3.9e-06, input 0.0e+00"]
    assert [len(group) for group in drawn.findall("g")] == [3, 2]

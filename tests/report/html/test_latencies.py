from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from edgekd.report.html import latencies


def test_the_spread_is_of_all_iterations_and_the_medians_of_each_process() -> None:
    processes = [
        {"iters_ns": list(range(10**6, 101 * 10**6, 10**6))},
        {"iters_ns": [3 * 10**6]},
        {"iters_ns": []},
    ]
    raw = {"subjects": {"row": {"processes": processes}, "failed": {"processes": []}}}
    found = latencies.summarize_times(raw)
    assert set(found) == {"row"} and found["row"].medians == pytest.approx((50.5, 3.0))
    assert found["row"].quantiles == pytest.approx((2, 25, 50, 75, 99))
    drawn = ET.fromstring(latencies.draw_latencies(found, {"row": 0}, ["row", "failed"]))
    assert len(drawn.findall("g")) == 1 and len(drawn.findall("g/circle")) == 2
    assert drawn.find("g/title").text == (
        "row: median 50 ms, half of all calls 25 to 75, 98 % 2 to 99, 2 processes"
    )

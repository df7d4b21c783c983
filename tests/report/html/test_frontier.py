from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from edgekd.report.html import frontier
from edgekd.report.html.page import colour_runtimes
from edgekd.report.html.page import number_rows
from edgekd.task import Scale
from tests import report_example

ACCURACY = Scale("accuracy")


def points(**other: object) -> tuple[list[frontier.FrontierPoint], str]:
    made = report_example.result(**other)
    return frontier.list_points(number_rows(made), made.chosen, colour_runtimes([made]))


def test_a_point_leads_to_its_row_and_says_all_of_it() -> None:
    found, split = points()
    root = ET.fromstring(frontier.draw_frontier(found, ACCURACY, split))
    marks = root.findall("a")
    assert [mark.attrib["href"] for mark in marks] == [f"#row-{n}" for n in range(1, 9)]
    chosen = marks[1].attrib["aria-label"]
    assert chosen == marks[1].attrib["data-details"] == marks[1].find("title").text
    assert chosen.startswith(
        "onnxruntime-fp32-2t, chosen: 92.66 % accuracy, 0.098 ms (0.0941 to 0.103)"
    )


def test_both_intervals_are_drawn_where_they_are_known() -> None:
    test = {**report_example.files()["test"], "score_ci95": {"openvino-fp32-1t": [0.9, 0.95]}}
    found, split = points(test=test)
    root = ET.fromstring(frontier.draw_frontier(found, ACCURACY, split))
    counts = [len(mark.findall("line[@class='interval']")) for mark in root.findall("a")]
    assert counts == [1, 1, 2, 1, 1, 1, 1, 1]


def test_nothing_stands_above_all_right(monkeypatch: pytest.MonkeyPatch) -> None:
    test = {**report_example.files()["test"]}
    test["candidates"] = dict.fromkeys(test["candidates"], 1.0)
    found, split = points(test=test)
    ticks = [
        float(each.text.removesuffix(" %"))
        for each in ET.fromstring(frontier.draw_frontier(found, ACCURACY, split)).iter("text")
        if each.text.endswith(" %")
    ]
    assert ticks and max(ticks) <= 100


def test_the_frontier_is_what_no_other_row_beats_in_both() -> None:
    found, _ = points()
    names = {point.row.name for point in frontier.find_frontier(found, ACCURACY)}
    assert names == {"onnxruntime-fp32-2t", "teacher-onnxruntime-fp32-1t"}
    worse = frontier.find_frontier(found, Scale("error", "number", "lower"))
    assert {point.row.name for point in worse} == {
        "onnxruntime-fp32-2t",
        "openvino-bf16-2t",
    }


def test_nothing_measured_is_said() -> None:
    found, split = points(rows=report_example.rows(latency_p50_ms=None))
    assert found == [] and split == "validation"
    assert "nothing was measured" in frontier.draw_frontier(found, ACCURACY, split)


def test_without_a_test_set_validation_is_drawn() -> None:
    found, split = points(test={})
    assert split == "validation" and found[0].score == 0.9266

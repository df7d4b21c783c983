from __future__ import annotations

from edgekd.report.html.sweep_page import SweepStudent
from edgekd.report.html.sweep_page import write_page
from tests import report_example
from tests.report.html.test_page import HOSTILE
from tests.report.html.test_page import Elements


def page(name: str, repetitions: int = 3) -> str:
    rows = report_example.result().candidates
    students = [
        SweepStudent(name, rows[0], True, True, True, "", ("runs/a",)),
        SweepStudent(
            "other", rows[2], False, False, False, "latency: got 1, want 0.5", ("runs/b",)
        ),
    ]
    return write_page("Sweep", students, report_example.SCALE, [(name, name)], repetitions)


def test_every_setting_has_a_point_that_leads_to_its_row() -> None:
    found = Elements(page("base=8"))
    ids = [value for key, value in found.attributes if key == "id"]
    links = [v for k, v in found.attributes if k == "href" and v and v.startswith("#row")]
    assert len(ids) == len(set(ids)) and links == ["#row-0", "#row-1"]
    assert {"row-0", "row-1"} <= set(ids)


def test_what_the_interval_is_of_is_said() -> None:
    assert "the mean of 3 runs" in page("a") and "says nothing of other seeds" in page("a", 1)
    assert "a (winner)" in page("a") and "latency: got 1, want 0.5" in page("a")


def test_no_name_is_markup() -> None:
    found = Elements(page(HOSTILE))
    assert found.tags.count("script") == 1 and "img" not in found.tags

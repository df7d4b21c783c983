from __future__ import annotations

import xml.etree.ElementTree as ET

from edgekd.report.html import curves
from edgekd.task import Scale
from tests import report_example

HISTORIES = {
    "teacher": report_example.history(5, 1.0, "cross-entropy"),
    "loaded": [],
    "distil": report_example.history(1, 1.5, "cross-entropy", "kd"),
}


def test_scores_and_terms_of_every_trained_step_are_drawn() -> None:
    scores, terms = curves.draw_histories(HISTORIES, Scale("accuracy"))
    assert [name for _, name in scores.keys] == ["teacher", "distil"]
    assert [name for _, name in terms.keys] == [
        "teacher: cross-entropy",
        "distil: cross-entropy",
        "distil: kd",
    ]
    root = ET.fromstring(scores.markup)
    lines = root.findall("g/polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [5, 1]
    ticks = [t.text for t in root.iter("text") if t.text and t.text.endswith("%")]
    assert all(0 <= float(tick[:-2]) <= 100 for tick in ticks)


def test_a_term_that_is_not_finite_is_left_out() -> None:
    history = [{"mse": float("nan"), "score": 1.0}, {"mse": float("inf"), "score": 0.5}]
    (scores,) = curves.draw_histories({"student": history}, Scale("RMSE", "number", "lower"))
    assert "RMSE, lower is better" in scores.markup and "nan" not in scores.markup
    assert curves.draw_histories({"teacher": []}, Scale("accuracy")) == []

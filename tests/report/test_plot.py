from __future__ import annotations

import io
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from edgekd.report import plot
from edgekd.task import Scale
from tests import report_example

ROOT = Path(__file__).parents[2]
HISTORIES = {
    "teacher": [],
    "control": report_example.history(5, 1.5, "cross-entropy"),
    "student": report_example.history(1, 1.0, "cross-entropy", "kd"),
}


def words(svg: bytes) -> str:
    """All text of a valid SVG."""
    root = ET.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return " | ".join(text.strip() for text in root.itertext() if text.strip())


def test_every_measured_row_is_named_and_the_chosen_one_marked() -> None:
    rows = report_example.rows()
    rows[3] |= {
        "latency_p50_ms": None,
        "latency_ci95_ms": None,
        "status": "not measured",
        "reason": "x",
    }
    text = words(plot.draw_score_latency(report_example.result(rows=rows), "svg"))
    for name, *_ in report_example.ROWS:
        assert (f"| {name}" in text) == (name != "openvino-fp32-2t"), name
    assert "onnxruntime-fp32-2t, chosen" in text and "test accuracy (%)" in text


def test_without_a_test_set_the_axis_says_validation() -> None:
    text = words(plot.draw_score_latency(report_example.result(test={}), "svg"))
    assert "validation accuracy (%)" in text


@pytest.mark.parametrize("accuracy", [1.0, 0.9916, 0.5])
def test_the_axis_of_equal_accuracies_ends_near_them_and_never_above_100(accuracy: float) -> None:
    rows = report_example.rows(accuracy=accuracy, validation_score=accuracy)
    svg = plot.draw_score_latency(report_example.result(rows=rows, test={}), "svg")
    axis = ET.fromstring(svg).find(".//*[@id='matplotlib.axis_2']")
    ticks = [float(text) for text in "".join(axis.itertext()).split() if text[0].isdigit()]
    assert len(ticks) >= 3 and max(ticks) <= 100
    assert all(abs(tick - 100 * accuracy) <= 1.01 for tick in ticks)


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_the_axis_of_a_fraction_ends_within_what_is_possible(better: str) -> None:
    found: list[tuple[float, float]] = []

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        plot._limit_scores(axes, [3.0, 98.0, 100.0], Scale("share", "fraction", better))
        found.append(axes.get_ylim())

    plot.render_figure(draw, (3, 3), "svg")
    assert sorted(found[0]) == [0, 100]


def test_intervals_of_scores_are_drawn() -> None:
    lines = [
        plot.draw_score_latency(report_example.result(test=test), "svg").count(b"LineCollection")
        for test in (
            report_example.files()["test"],
            {
                **report_example.files()["test"],
                "score_ci95": {name: [0.9, 0.95] for name, *_ in report_example.ROWS},
            },
        )
    ]
    assert lines[1] == lines[0] + len(report_example.ROWS)


def test_every_trained_step_has_a_curve_of_its_own_colour() -> None:
    one = report_example.history(3, 1.0, "kd")
    histories = {"control": one, "distil": one, "distil-2": one, "quantize-asymmetric": one}
    svg = plot.draw_learning_curves(histories, Scale("accuracy"), "svg")
    for colour in ("#d55e00", "#0072b2", "#009e73", "#cc79a7"):
        assert svg.count(colour.encode()) >= 2, colour


def test_nothing_measured_is_still_a_plot() -> None:
    rows = report_example.rows(
        latency_p50_ms=None, latency_ci95_ms=None, status="not measured", reason="x"
    )
    made = report_example.result(
        rows=rows, choice={"chosen": None, "metric": report_example.SCALE._asdict()}
    )
    assert "nothing was measured" in words(plot.draw_score_latency(made, "svg"))


def test_the_same_numbers_give_the_same_bytes_in_any_process() -> None:
    made = report_example.result()
    svg, png = plot.draw_score_latency(made, "svg"), plot.draw_score_latency(made, "png")
    script = (
        "import sys, hashlib; from edgekd.report import plot; from tests import report_example\n"
        "made = report_example.result()\n"
        "sys.stdout.buffer.write(plot.draw_score_latency(made, sys.argv[1]))\n"
    )
    for kind, want in (("svg", svg), ("png", png)):
        command = [sys.executable, "-c", script, kind]
        assert subprocess.run(command, check=True, capture_output=True, cwd=ROOT).stdout == want
    assert b"<dc:date>" not in svg and b"matplotlib" not in png


def test_the_png_is_a_picture() -> None:
    from PIL import Image

    image = Image.open(io.BytesIO(plot.draw_score_latency(report_example.result(), "png")))
    assert image.size == (1140, 750)


@pytest.mark.parametrize("histories", [HISTORIES, {"teacher": []}])
def test_learning_curves_name_every_term(histories: dict) -> None:
    text = words(plot.draw_learning_curves(histories, report_example.SCALE, "svg"))
    assert "validation accuracy (%)" in text and "learning_rate" not in text
    if "student" in histories:
        for name in ("control: cross-entropy", "student: cross-entropy", "student: kd"):
            assert name in text
        assert "teacher" not in text


def test_a_number_where_lower_is_better_is_no_percent_and_better_is_up() -> None:
    scale = Scale("RMSE", "number", "lower")
    choice = {**report_example.files()["choice"], "metric": scale._asdict()}
    made = report_example.result(choice=choice, test={})
    svg = plot.draw_score_latency(made, "svg")
    assert "validation RMSE (lower is better)" in words(svg)
    curves = plot.draw_learning_curves(
        {"student": report_example.history(3, 1.0, "mse")}, scale, "svg"
    )
    assert "validation RMSE (lower is better)" in words(curves)


@pytest.mark.parametrize(("better", "inverted"), [("lower", True), ("higher", False)])
@pytest.mark.parametrize("shown", [[1.0, 2.0], [3.0], [0.0, 0.0]])
def test_better_is_up_and_equal_scores_have_room(
    better: str, inverted: bool, shown: list[float]
) -> None:
    axes = Figure().add_subplot()
    plot._limit_scores(axes, shown, Scale("RMSE", "number", better))
    assert axes.yaxis_inverted() == inverted
    low, high = sorted(axes.get_ylim())
    assert low < min(shown) <= max(shown) < high

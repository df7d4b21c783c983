from __future__ import annotations

import math
from typing import Any

import pytest

from edgekd.bench.status import offered_text
from edgekd.report import markdown
from edgekd.report import plot
from edgekd.report.comparison import points_half_width
from tests import report_example


def test_rows_are_parted_and_carry_the_accuracy_of_their_engine() -> None:
    made = report_example.result()
    assert [row.name for row in made.references] == [
        "teacher-onnxruntime-fp32-1t",
        "teacher-openvino-fp32-1t",
    ]
    assert len(made.candidates) == 6
    by_name = {row.name: row for row in made.candidates}
    assert by_name["openvino-bf16-1t"].score == 0.9261
    assert made.teacher.model == "resnet20" and made.teacher.score == 0.9336
    assert made.warnings == ()


def test_the_comparison_is_with_the_teacher_on_the_same_engine_and_threads() -> None:
    choice = {**report_example.files()["choice"], "chosen": "onnxruntime-fp32-1t"}
    found = report_example.result(choice=choice).comparison
    assert found is not None and found.reference == "teacher-onnxruntime-fp32-1t"
    assert found.times_faster == pytest.approx(0.408 / 0.131)
    assert found.times_smaller == pytest.approx(1_260_065 / 340_092)
    low, high = 0.408 * 0.96 / (0.131 * 1.05), 0.408 * 1.05 / (0.131 * 0.96)
    assert found.times_faster_ci95 == pytest.approx((low, high))
    assert found.score_drop == pytest.approx(0.70)
    # two-thread rows have no teacher beside them
    assert report_example.result().comparison is None


def test_the_interval_of_a_difference_by_hand() -> None:
    # variance of each: 0.9 * 0.1 / 1000 = 9e-5; two of them: 1.8e-4
    assert points_half_width(0.9, 0.9, 1000) == pytest.approx(196 * math.sqrt(1.8e-4))


def test_a_student_that_gained_nothing_is_said_plainly() -> None:
    test = {**report_example.files()["test"], "control": 0.9400, "control_alone": 194}
    (warning,) = report_example.result(test=test).warnings
    assert "below its control: 92.66 % against 94.00 %" in warning


def test_what_was_not_measured_or_unstable_is_said() -> None:
    rows = report_example.rows()
    rows[4] |= {"status": "not measured", "reason": "no AMX here", "latency_p50_ms": None}
    rows[5]["status"] = "unstable"
    rows[0]["agreement"] = 0.9844
    found = report_example.result(rows=rows).warnings
    assert "openvino-bf16-1t: not measured: no AMX here." in found
    assert "openvino-bf16-2t: unstable." in found
    assert "onnxruntime-fp32-1t agrees with torch on 98.44 % only." in found


def test_an_agreement_that_reads_as_all_is_no_news() -> None:
    """A cosine of the same vector twice is 1 but for rounding."""
    rows = report_example.rows()
    for row in rows:
        row["agreement"] = 1 - 4e-8
    assert not any(
        "agrees with torch" in line for line in report_example.result(rows=rows).warnings
    )


@pytest.mark.parametrize(("precision", "warned"), [("auto", False), (["fp32", "bf16"], True)])
def test_what_auto_tried_and_the_engine_does_not_offer_is_nothing_amiss(
    precision: Any, warned: bool
) -> None:
    rows = report_example.rows()
    said = offered_text("openvino", ("fp32", "int8"))
    rows[4] |= {"status": "not offered", "reason": said, "latency_p50_ms": None}
    rows[0] |= {"status": "not measured", "reason": "onnxruntime is not installed: pip install it"}
    targets = [
        {"runtime": "openvino", "precision": precision},
        {"runtime": "onnxruntime", "precision": "auto"},
    ]
    made = report_example.result(rows=rows, resolved_recipe={"targets": targets})
    assert (
        any("openvino-bf16-1t: not offered: openvino offers" in line for line in made.warnings)
        == warned
    )
    assert any("onnxruntime is not installed" in line for line in made.warnings)
    assert any(row.reason == said for row in made.candidates)


def test_a_chosen_engine_that_loses_accuracy_is_said() -> None:
    files = report_example.files()
    test = {**files["test"], "candidates": {"onnxruntime-fp32-2t": 0.91}}
    assert any("loses 1.66 points" in line for line in report_example.result(test=test).warnings)


def test_a_run_without_choice_or_test_set_still_gives_a_result() -> None:
    choice = {
        "metric": report_example.SCALE._asdict(),
        "chosen": None,
        "nearest": "onnxruntime-fp32-2t",
        "why": "latency_p50_ms: 0.098, want 0.05",
        "budget": [{"limit": "latency_p50_ms", "want": 0.05, "got": 0.098, "verdict": "missed"}],
    }
    made = report_example.result(choice=choice, test={})
    assert made.chosen is None and made.comparison is None
    assert made.teacher.score is None and made.candidates[0].score is None


def test_a_number_is_compared_in_its_own_unit_by_the_interval_of_its_rows() -> None:
    files = report_example.files()
    scale = {"name": "RMSE", "unit": "number", "better": "lower"}
    chosen = "onnxruntime-fp32-1t"
    test = {
        "teacher": 2.0,
        "student": 2.5,
        "control": 3.0,
        "right_or_wrong": False,
        "candidates": {chosen: 2.6},
        "candidate_metrics": {chosen: {"RMSE": 2.6}},
        "score_drop_ci95": {chosen: [0.4, 0.8]},
        "student_below_control_ci95": [-0.7, -0.3],
    }
    made = report_example.result(
        choice={**files["choice"], "metric": scale, "chosen": chosen}, test=test
    )
    found = made.comparison
    assert found is not None and found.paired and found.score_drop == pytest.approx(0.6)
    assert found.score_drop_ci95 == (0.4, 0.8)
    assert f"{chosen} loses 0.1 RMSE to the student in float32." in made.warnings
    page = markdown.report_page(made)
    assert (
        "0.6 RMSE worse than the teacher on the test set (95 % interval 0.4 to 0.8, paired)" in page
    )
    assert "| | model | test RMSE | validation RMSE |" in page and "| 2.6 |" in page
    assert "did not help" not in page


def test_rows_of_other_sizes_are_no_news_of_their_engine() -> None:
    """They fail as their engine does, are in no plot, and no teacher's usual row is taken from among them."""
    made = []
    for row in report_example.rows():
        usual = {**row, "sizes": {"text_length": 48}}
        if row["name"] == "openvino-fp32-1t":
            usual |= {"status": "failed", "reason": "parity"}
        longer = {
            **usual,
            "name": f"{row['name']} text_length=64",
            "usual_row": row["name"],
            "sizes": {"text_length": 64},
            "latency_p50_ms": 9.0,
            "agreement": 0.5,
        }
        made += [longer, usual]
    choice = {**report_example.files()["choice"], "chosen": "onnxruntime-fp32-1t"}
    found = report_example.result(rows=made, choice=choice)
    assert found.warnings == ("openvino-fp32-1t: failed: parity.",)
    assert found.comparison is not None
    assert found.comparison.reference == "teacher-onnxruntime-fp32-1t"
    sized = found.candidates[0]
    assert (sized.usual_row, sized.sizes) == ("onnxruntime-fp32-1t", {"text_length": 64})
    assert b"text_length" not in plot.draw_score_latency(found, "svg")
    usual_first = report_example.result(rows=made[::-1], choice=choice)
    page = markdown.report_page(usual_first)
    assert "\n\nRows that name no size are of the usual one: text_length=48.\n\n|" in page
    assert page.count("| teacher-openvino-fp32-1t text_length=64 |") == 2

from __future__ import annotations

import pytest

from edgekd.report import markdown
from edgekd.report.html.headline import write_headline
from tests import report_example

ONE = {**report_example.files()["choice"], "chosen": "onnxruntime-fp32-1t"}


def test_the_headline_says_how_uncertain_it_is() -> None:
    made = report_example.result(choice=ONE)
    assert write_headline(made) == (
        "3.7x smaller, 3.1x faster (2.8 to 3.4), 0.7 points below its teacher (−0.0 to 1.4)"
    )


def test_what_is_slower_and_better_turns_its_intervals_round() -> None:
    made = report_example.result(choice=ONE)
    assert made.comparison is not None
    other = {
        "times_faster": 0.5,
        "times_faster_ci95": (0.4, 0.8),
        "score_drop": -0.5,
        "score_drop_ci95": (-0.75, 0.25),
    }
    turned = made.model_copy(update={"comparison": made.comparison.model_copy(update=other)})
    assert write_headline(turned) == (
        "3.7x smaller, 2.0x slower (1.2 to 2.5), 0.5 points above its teacher (−0.2 to 0.8)"
    )


@pytest.mark.parametrize(
    ("test", "want"),
    [
        ({}, "92.66 % accuracy, 0.131 ms (0.126 to 0.138)"),
        (
            {
                "score_ci95": {"onnxruntime-fp32-1t": [0.921, 0.931]},
                "candidates": {"onnxruntime-fp32-1t": 0.926},
            },
            "92.60 % accuracy (92.10 to 93.10 %), 0.131 ms (0.126 to 0.138)",
        ),
    ],
)
def test_without_a_teacher_beside_it_a_row_stands_for_itself(
    test: dict[str, object], want: str
) -> None:
    made = report_example.result(choice=ONE, test=test).model_copy(update={"comparison": None})
    assert write_headline(made) == f"onnxruntime-fp32-1t: {want}"


def test_no_choice_is_the_headline() -> None:
    choice = {**ONE, "chosen": None, "why": "score: 0.91, want 0.95"}
    assert (
        write_headline(report_example.result(choice=choice))
        == "Nothing was chosen: score: 0.91, want 0.95"
    )


def test_a_student_that_guesses_is_no_success() -> None:
    made = report_example.result(choice=ONE)
    guesses = made.model_copy(
        update={"student": made.student.model_copy(update={"near_chance": True})}
    )
    for write in (write_headline, markdown.headline):
        assert write(guesses) == f"The student is near chance: {write(made)}"

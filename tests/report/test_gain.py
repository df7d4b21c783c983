"""Distillation that did not help is told, for a tie as for a loss."""

from __future__ import annotations

import pytest

from edgekd.report.gain import near_chance_sentences
from edgekd.report.gain import no_gain_sentence
from edgekd.report.result import Model
from edgekd.task import Scale
from tests import report_example


def scored(accuracy: float | None, validation: float = 0.9) -> Model:
    return Model(
        model="resnet8",
        score=accuracy,
        validation_score=validation,
        parameters=1,
        macs=1,
    )


@pytest.mark.parametrize(
    ("won", "lost", "want"),
    [
        (60, 34, ""),  # scipy.stats.binomtest(34, 94).pvalue: 0.0095
        (34, 60, "is below its control: 92.00 % against 91.00 %"),
        (60, 50, "Distillation did not help here beyond chance."),  # p = 0.39
        (50, 60, "is level with its control"),
        (0, 0, "0 of which the student alone has right and 0 the control alone (McNemar p = 1)"),
        (5, 0, "level with"),  # 2 / 2**5: five samples tell nothing
        (6, 0, ""),  # 2 / 2**6 = 0.031
    ],
)
def test_a_tie_and_a_loss(won: int, lost: int, want: str) -> None:
    test = {"student_alone": won, "control_alone": lost}
    told = no_gain_sentence(scored(0.92), scored(0.91), test, report_example.SCALE)
    assert want in told and bool(told) == bool(want)
    assert ("did not help here" in told) == bool(want)


def test_without_a_test_set_validation_is_compared() -> None:
    assert no_gain_sentence(scored(None, 0.9), scored(None, 0.8), {}, report_example.SCALE) == ""
    assert "did not help" in no_gain_sentence(
        scored(None, 0.9), scored(None, 0.9), {}, report_example.SCALE
    )


RMSE = Scale("RMSE", "number", "lower")


@pytest.mark.parametrize(
    ("student", "control", "interval", "want"),
    [
        (2.0, 3.0, (-1.5, -0.5), ""),
        (3.0, 2.0, (0.5, 1.5), "is worse than its control: 3 RMSE against 2 RMSE"),
        (2.9, 3.0, (-0.3, 0.1), "is level with its control"),
        (3.0, 2.9, (-0.1, 0.3), "Distillation did not help here."),
    ],
)
def test_where_lower_is_better_the_interval_of_the_rows_tells(
    student: float, control: float, interval: tuple[float, float], want: str
) -> None:
    test = {"student_below_control_ci95": interval}
    told = no_gain_sentence(scored(student), scored(control), test, RMSE)
    assert want in told and bool(told) == bool(want)
    assert told.endswith("beyond chance.") == (student < control and bool(want))


def test_without_a_test_set_a_lower_number_may_be_the_better_one() -> None:
    assert no_gain_sentence(scored(None, 2.0), scored(None, 3.0), {}, RMSE) == ""
    assert "is not below its control: 3 RMSE" in no_gain_sentence(
        scored(None, 3.0), scored(None, 2.0), {}, RMSE
    )


NEAR = "its balanced accuracy on validation is 12.00 %, near chance, which is 10.00 %"


def test_near_chance_is_told() -> None:
    scores = {
        "student": {"near_chance": NEAR},
        "teacher": {"near_chance": ""},
        "control": {},
    }
    (told,) = near_chance_sentences(scores)
    assert told == f"The student: {NEAR}."
    (told,) = near_chance_sentences({**scores, "control": {"near_chance": NEAR}})
    assert told == f"The student, control: {NEAR}."

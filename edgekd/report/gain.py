"""Whether distillation helped: the student beside its control, the same network trained without a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgekd.bench.pair.paired import mcnemar
from edgekd.report.result import Model
from edgekd.units import percent_text

LEAST_P = 0.05
"""A p-value below this is no chance."""


def no_gain(student: Model, control: Model, test: Mapping[str, Any]) -> str:
    """A sentence if the student is not better than its control by more than chance; empty if it is.

    Args:
        student: its scores.
        control: the control's.
        test: test.json, with the samples that one of the two alone is right on.
    """
    alone = test.get("student_alone"), test.get("control_alone")
    if student.score is None or control.score is None or None in alone:
        if student.validation_score > control.validation_score:
            return ""
        return (
            f"The student is not above its control: {percent_text(student.validation_score)} against "
            f"{percent_text(control.validation_score)} on validation. Distillation did not help here."
        )
    won, lost = (int(count) for count in alone if count is not None)
    p = mcnemar(lost, won)
    by_chance = p >= LEAST_P
    if won > lost and not by_chance:
        return ""
    stands = "level with" if by_chance else "below"
    return (
        f"The student is {stands} its control: {percent_text(student.score)} against "
        f"{percent_text(control.score)} on the test samples, {won} of which the student alone has right "
        f"and {lost} the control alone (McNemar p = {p:.2g}). Distillation did not help here"
        f"{' beyond chance' if by_chance and won > lost else ''}."
    )


def near_chance(scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence for every model that hardly knows its inputs.

    Args:
        scores: score.json, by role.
    """
    return [
        f"The {role}: {score['near_chance']}."
        for role, score in scores.items()
        if score.get("near_chance")
    ]

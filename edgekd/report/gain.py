"""Whether distillation helped: the student beside its control, the same network trained without a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from edgekd.bench.pair.significance import mcnemar
from edgekd.report.result import Model
from edgekd.task import Scale
from edgekd.task import figure_text
from edgekd.task import is_better

LEAST_P = 0.05
"""A p-value below this is no chance."""


def no_gain_sentence(student: Model, control: Model, test: Mapping[str, Any], scale: Scale) -> str:
    """A sentence if the student is not better than its control by more than chance; empty if it is.

    Args:
        student: its scores.
        control: the control's.
        test: test.json, with the samples that one of the two alone is right on, or else the interval of how much
            worse the student is.
        scale: of the score.
    """
    interval = test.get("student_below_control_ci95")
    if interval is not None and student.score is not None and control.score is not None:
        return _no_gain_by_interval(student.score, control.score, interval, scale)
    alone = test.get("student_alone"), test.get("control_alone")
    if student.score is None or control.score is None or None in alone:
        if is_better(scale, student.validation_score, control.validation_score):
            return ""
        side = "above" if scale.better == "higher" else "below"
        return (
            f"The student is not {side} its control: {figure_text(scale, student.validation_score)} against "
            f"{figure_text(scale, control.validation_score)} on validation. Distillation did not help here."
        )
    won, lost = (int(count) for count in alone if count is not None)
    p = mcnemar(lost, won)
    by_chance = p >= LEAST_P
    if won > lost and not by_chance:
        return ""
    stands = "level with" if by_chance else "below"
    return (
        f"The student is {stands} its control: {figure_text(scale, student.score)} against "
        f"{figure_text(scale, control.score)} on the test samples, {won} of which the student alone has right "
        f"and {lost} the control alone (McNemar p = {p:.2g}). Distillation did not help here"
        f"{' beyond chance' if by_chance and won > lost else ''}."
    )


def _no_gain_by_interval(
    student: float, control: float, interval: Sequence[float], scale: Scale
) -> str:
    low, high = interval
    if high < 0:
        return ""
    stands = "worse than" if low > 0 else "level with"
    unit = "points" if scale.unit == "fraction" else scale.name
    worse = low >= 0 or not is_better(scale, student, control)
    return (
        f"The student is {stands} its control: {figure_text(scale, student)} against "
        f"{figure_text(scale, control)} on the test samples (95 % interval of how much worse it is "
        f"{low:.3g} to {high:.3g} {unit}, paired bootstrap). Distillation did not help here"
        f"{'' if worse else ' beyond chance'}."
    )


def near_chance_sentences(scores: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence for the models that hardly know their inputs; those of which the same is to be said share one.

    Args:
        scores: score.json, by role.
    """
    alike: dict[str, list[str]] = {}
    for role, score in scores.items():
        if score.get("near_chance"):
            alike.setdefault(score["near_chance"], []).append(role)
    return [f"The {', '.join(roles)}: {text}." for text, roles in alike.items()]

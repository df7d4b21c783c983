"""Writes the students of a sweep as an HTML page: the frontier of score against latency, and a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from edgekd.report.html import frontier
from edgekd.report.html import svg
from edgekd.report.html.page import list_keys
from edgekd.report.html.render import render_page
from edgekd.report.result_row import Row
from edgekd.task import Scale


class SweepStudent(NamedTuple):
    """One setting."""

    name: str
    """Its values."""
    row: Row
    """Averaged over its runs."""
    is_on_frontier: bool
    is_winner: bool
    is_inside: bool
    """Whether it keeps the budget."""
    missed: str
    """Which limits it does not keep."""
    runs: tuple[str, ...]
    """Their folders, relative to the page's."""


def write_page(
    title: str,
    students: Sequence[SweepStudent],
    scale: Scale,
    failures: Sequence[tuple[str, str]],
    repetitions: int,
) -> str:
    """The text of the page.

    Args:
        title: of the page.
        students: every setting that was carried out.
        scale: of the score.
        failures: settings that were not, each with its error.
        repetitions: how many runs a setting has.
    """
    names = sorted({student.row.runtime for student in students})
    colours = {name: number % svg.COLOURS for number, name in enumerate(names)}
    points = [
        frontier.FrontierPoint(
            student.row.model_copy(update={"name": student.name}),
            f"row-{number}",
            float(student.row.latency_p50_ms or 0.0),
            float(student.row.validation_score or 0.0),
            student.row.validation_ci95,
            colours[student.row.runtime],
            student.is_winner,
        )
        for number, student in enumerate(students)
    ]
    best = [
        point for point, student in zip(points, students, strict=True) if student.is_on_frontier
    ]
    return render_page(
        "sweep.html.j2",
        title=title,
        scale=scale,
        students=students,
        frontier=frontier.draw_frontier(points, scale, "validation", best),
        keys=list(list_keys(points)),
        failures=failures,
        repetitions=repetitions,
    )

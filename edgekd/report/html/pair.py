"""Writes two runs side by side as an HTML page that needs nothing beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from edgekd.report.html import frontier
from edgekd.report.html.headline import write_headline
from edgekd.report.html.page import KeyFigure
from edgekd.report.html.page import list_figures
from edgekd.report.html.page import number_rows
from edgekd.report.html.render import render_page
from edgekd.report.result import Result
from edgekd.report.result_row import Row
from edgekd.report.run_difference import FactDifference
from edgekd.report.run_difference import FigureDifference
from edgekd.report.run_difference import compare_runs
from edgekd.task import Scale

LONGEST = 160
"""Characters of a setting."""


class RunSide(NamedTuple):
    """One of the two runs on the page."""

    letter: str
    name: str
    """What the user calls it."""
    result: Result
    headline: str
    figures: tuple[KeyFigure, ...]
    rows: dict[str, Row]


def pair_page(first: Result, second: Result, names: Sequence[str]) -> str:
    """The text of the page.

    Args:
        first: a result.
        second: another.
        names: what the user calls them; the recipes' names may be the same.
    """
    sides = [_side(*each) for each in zip(("A", "B"), names, (first, second), strict=True)]
    scale = Scale(**first.metric.model_dump())
    comparable = first.metric == second.metric
    drawn = None
    if comparable:
        found = [
            frontier.list_points(side.rows, side.result.chosen, _colours(side.result, number))
            for number, side in enumerate(sides)
        ]
        split = " and ".join(dict.fromkeys(split for _, split in found))
        points = [point for points, _ in found for point in points]
        drawn = frontier.draw_frontier(points, scale, split)
    difference = compare_runs(first, second)
    facts = {
        title: [_fact(each) for each in of]
        for title, of in (
            ("Settings", difference.settings),
            ("Data", difference.data),
            ("Versions", difference.versions),
            ("Machine", difference.machine),
        )
    }
    return render_page(
        "pair.html.j2",
        title=" and ".join(names),
        sides=sides,
        scale=scale,
        frontier=drawn,
        metrics=[each.metric.name for each in (first, second)],
        differing=[_figure(each) for each in difference.figures],
        facts=facts,
    )


def _side(letter: str, name: str, result: Result) -> RunSide:
    scale = Scale(**result.metric.model_dump())
    figures = tuple(list_figures(result, scale))
    rows = number_rows(result, f"{letter.lower()}-row")
    return RunSide(letter, name, result, write_headline(result), figures, rows)


def _colours(result: Result, number: int) -> dict[str, int]:
    return dict.fromkeys((row.runtime for row in (*result.candidates, *result.references)), number)


def _fact(each: FactDifference) -> tuple[str, str, str]:
    return each.key, _text(each.first), _text(each.second)


def _text(value: Any) -> str:
    text = "–" if value is None else value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _figure(each: FigureDifference) -> tuple[str, str, str, str]:
    first, second = (
        f"{text} ({_ends(ends, text)})" if ends is not None else text
        for text, ends in (
            (each.first_text, each.first_ci95),
            (each.second_text, each.second_ci95),
        )
    )
    return each.figure, first, second, "" if each.overlap == "unknown" else each.overlap


def _ends(ends: tuple[float, float], text: str) -> str:
    factor = 100 if text.endswith("%") else 1
    return " to ".join(f"{factor * end:.4g}" for end in ends)

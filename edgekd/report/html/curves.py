"""Draws lines: learning curves of the steps, their scores and the terms of their losses."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from edgekd.report.html import svg
from edgekd.task import Scale
from edgekd.task import value_text

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 300.0, 60.0, 588.0, 40.0, 252.0
DASHES = 4
"""Classes ``d0`` to ``d3`` of the style sheet."""
MOST_POINTS = 200
"""Of one line."""
NOT_TERMS = ("learning_rate", "score")
History = Sequence[Mapping[str, float]]


class Curve(NamedTuple):
    """One line of a drawing, with its look."""

    name: str
    points: tuple[tuple[float, float], ...]
    colour: int = 0
    dash: int = 0


class CurveDrawing(NamedTuple):
    """A drawing of curves, and what its lines mean."""

    title: str
    markup: Markup
    keys: tuple[tuple[Markup, str], ...]


def draw_histories(histories: Mapping[str, History], scale: Scale) -> list[CurveDrawing]:
    """The score and the loss terms by epoch of every step that was trained.

    Args:
        histories: by the label of the step.
        scale: of the score.
    """
    trained = {label: history for label, history in histories.items() if history}
    colours = {label: number % svg.COLOURS for number, label in enumerate(trained)}
    scores = [
        Curve(label, tuple(_values(history, "score")), colours[label])
        for label, history in trained.items()
    ]
    terms = [
        Curve(f"{label}: {term}", tuple(_values(history, term)), colours[label], number % DASHES)
        for label, history in trained.items()
        for number, term in enumerate(name for name in history[0] if name not in NOT_TERMS)
    ]
    percent = scale.unit == "fraction"
    note = "" if scale.better == "higher" else ", lower is better"
    drawn = []
    for title, curves, shares in (
        (f"validation {scale.name}{note}", scores, percent),
        ("loss terms, mean over the epoch", terms, False),
    ):
        curves = [curve for curve in curves if curve.points]
        if curves:
            drawn.append(draw_curves(title, curves, percent=shares, scale=scale))
    return drawn


def draw_curves(
    title: str, curves: Sequence[Curve], *, percent: bool, scale: Scale
) -> CurveDrawing:
    """Lines by epoch.

    Args:
        title: what they show.
        curves: at least one, each with a point.
        percent: whether values are fractions, which end at 0 and 100 %.
        scale: of the score, by which last values are told.
    """
    values = [value for curve in curves for _, value in curve.points]
    low, high = svg.widen(values)
    if percent:
        low, high = max(0.0, low), min(1.0, high)
    last = max(epoch for curve in curves for epoch, _ in curve.points)
    x = svg.PlotAxis(1, max(2, last), LEFT + 6, RIGHT - 6)
    y = svg.PlotAxis(low, high, BOTTOM, TOP)
    parts = [svg.frame(x, y, "epoch", title, percent=percent, whole=True)]
    for curve in curves:
        look = f"curve c{curve.colour} d{curve.dash}"
        ends = value_text(scale, curve.points[-1][1]) if percent else f"{curve.points[-1][1]:.4g}"
        name = svg.element("title", f"{curve.name}: {ends} at the end")
        places = [(x.place(epoch), y.place(value)) for epoch, value in _thin_out(curve.points)]
        dots = [svg.element("circle", cx=a, cy=b, r=2.5, class_="mark") for a, b in places]
        shown = dots if len(dots) <= 20 else dots[-1:]
        parts.append(
            svg.element("g", name, svg.path(places, look), *shown, class_=f"c{curve.colour}")
        )
    keys = tuple((_swatch(curve), curve.name) for curve in curves)
    return CurveDrawing(title, svg.drawing(f"{title}, by epoch", HEIGHT, *parts), keys)


def _thin_out(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """`MOST_POINTS` of them at most, evenly, the last one too."""
    step = -(-len(points) // MOST_POINTS)
    return [*points[:-1:step], points[-1]]


def _values(history: History, name: str) -> Iterator[tuple[float, float]]:
    for epoch, row in enumerate(history, 1):
        value = row.get(name)
        if value is not None and abs(value) < float("inf"):
            yield float(epoch), float(value)


def _swatch(curve: Curve) -> Markup:
    stroke = svg.path([(0.0, 10.0), (20.0, 10.0)], f"curve c{curve.colour} d{curve.dash}")
    return svg.element("svg", stroke, viewBox="0 0 20 20", class_="swatch", aria_hidden="true")

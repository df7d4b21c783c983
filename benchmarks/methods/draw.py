"""Draws each method's difference from the control, with its interval."""

from __future__ import annotations

from typing import Any

from compare import Row
from compare import interval
from words import KD

from edgekd.report.plot import COLOURS
from edgekd.report.plot import render_figure

ROW_INCHES = 0.17
WORST = -20.0
"""Points; what lies below is drawn there, its number beside it."""
POINTS = 100
GREY = "#b0b0b0"


def plot(lines: list[Row], pair: str) -> bytes:
    """One row a method, in families, the best first; svg."""
    shown = ordered([row for row in lines if row["pair"] == pair and row["control"] is not None])
    families = list(dict.fromkeys(row["family"] for row in shown))
    colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(families)}

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        axes.axvline(0, color="#444444", linewidth=1)
        for row in shown:
            if row["method"] == KD:
                axes.axvline(POINTS * row["control"]["mean"], color="#aaaaaa", linewidth=1, ls="--")
        for place, row in enumerate(shown):
            _bar(axes, place, row, _colour(row, colours))
        axes.set_yticks(range(len(shown)), [row["method"] for row in shown], fontsize=7)
        for label, row in zip(axes.get_yticklabels(), shown, strict=True):
            label.set_color(_colour(row, colours))
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlabel(
            "test accuracy less the control's, points (bar: 95 % interval; grey: too few seeds; dashed: kd's mean)"
        )
        for name in families:
            axes.scatter([], [], s=16, color=colours[name], label=name)
        figure.legend(loc="outside upper center", ncols=4)

    return render_figure(draw, (8.0, 1.2 + ROW_INCHES * len(shown)), "svg")


def _colour(row: Row, colours: dict[str, str]) -> str:
    """Of the row's family; grey where it has no interval."""
    return colours[row["family"]] if interval(row["control"]) else GREY


def _bar(axes: Any, place: int, row: Row, colour: str) -> None:
    mean, ends = POINTS * row["control"]["mean"], interval(row["control"])
    if mean < WORST:
        axes.annotate(f"{mean:.0f}", (WORST, place), va="center", fontsize=7, color=colour)
        return
    if ends is not None:
        low, high = (POINTS * end for end in ends)
        axes.hlines(place, max(low, WORST), high, color=colour, linewidth=1.4, alpha=0.6)
    face = "white" if ends is None else colour
    axes.scatter([mean], [place], s=16, facecolor=face, edgecolor=colour)


def ordered(lines: list[Row]) -> list[Row]:
    """Families as they come, the best of each first; what has no accuracy last."""
    families = list(dict.fromkeys(row["family"] for row in lines))
    best = {name: number for number, name in enumerate(families)}
    return sorted(lines, key=lambda row: (best[row["family"]], -(row["mean"] or -1.0)))

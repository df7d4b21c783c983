"""Draws how often models are right against how sure they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from edgekd.bench.proportion import wilson
from edgekd.report.html import svg

SIDE, LEFT, TOP, GAP = 140.0, 46.0, 40.0, 52.0


def draw_reliability(models: Mapping[str, Mapping[str, Any]]) -> Markup:
    """A panel a model: the share of right samples of each bin of confidence with its 95 % interval, beside the
    diagonal of one that is as sure as it is right.

    Args:
        models: of explain.json, by role; three at most.
    """
    parts = []
    for number, (role, found) in enumerate(models.items()):
        left = LEFT + number * (SIDE + GAP)
        parts += _panel(role, found, left, number)
    words = "accuracy against confidence: " + ", ".join(
        f"{role} is off by {100 * found['calibration_error']:.2f} % on average"
        for role, found in models.items()
    )
    return svg.drawing(words, TOP + SIDE + 44, *parts)


def _panel(role: str, found: Mapping[str, Any], left: float, colour: int) -> list[Markup]:
    x = svg.PlotAxis(0, 1, left, left + SIDE)
    y = svg.PlotAxis(0, 1, TOP + SIDE, TOP)
    parts = [
        svg.frame(x, y, "confidence", "", percent=True, most=3),
        svg.text(
            left, TOP - 12, f"{role}: off by {100 * found['calibration_error']:.1f} %", "axis"
        ),
        svg.line(x.start, y.start, x.end, y.end, "frontier"),
    ]
    for each in found["reliability"]:
        if not each["samples"]:
            continue
        at, up = x.place(each["confidence"]), y.place(each["accuracy"])
        low, high = wilson(each["accuracy"], each["samples"])
        said = (
            f"{each['samples']} samples, sure of {100 * each['confidence']:.1f} %, "
            f"right on {100 * each['accuracy']:.1f} %"
        )
        parts.append(
            svg.element(
                "g",
                svg.element("title", said),
                svg.line(at, y.place(low), at, y.place(high), "interval"),
                svg.element("circle", cx=at, cy=up, r=3.5, class_="mark"),
                class_=f"c{colour}",
            )
        )
    return parts

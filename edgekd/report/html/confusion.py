"""Draws which class is taken for which, and which layers suffer from being rounded."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from edgekd.report.html import svg

LEFT, RIGHT = 120.0, 588.0
LONGEST = 16
"""Characters of a name beside the matrix."""
MOST_LAYERS = 40


def draw_confusion(counts: Sequence[Sequence[int]], names: Sequence[str]) -> Markup:
    """A square a pair: the true class down, the student's across; a deeper colour is a larger share of the row.

    Args:
        counts: samples, [C][C].
        names: of the C classes.
    """
    side = min(36.0, (RIGHT - LEFT) / len(names))
    top = 44.0 + 0.87 * svg.CHARACTER * max(len(svg.shorten(name, LONGEST)) for name in names)
    parts = [
        svg.text(LEFT - 8, top - 8, "true", "axis", "end"),
        svg.text(LEFT, 16.0, "what the student says", "axis"),
    ]
    for row, of_row in enumerate(counts):
        up = top + row * side
        parts.append(
            svg.text(LEFT - 8, up + side / 2 + 4, svg.shorten(names[row], LONGEST), "tick", "end")
        )
        across = LEFT + row * side + side / 2 + 4
        turned = f"rotate(-60 {across:.1f} {top - 6:.1f})"
        parts.append(
            svg.element(
                "text",
                svg.shorten(names[row], LONGEST),
                x=across,
                y=top - 6,
                class_="tick",
                transform=turned,
            )
        )
        total = sum(of_row) or 1
        for column, count in enumerate(of_row):
            left = LEFT + column * side
            said = f"{names[row]} taken for {names[column]}: {count} of {total}"
            look = "right" if row == column else "wrong"
            cell = svg.element(
                "rect",
                svg.element("title", said),
                x=left + 0.5,
                y=up + 0.5,
                width=side - 1,
                height=side - 1,
                class_=f"cell {look}",
                fill_opacity=f"{(count / total) ** 0.5:.2f}",
            )
            parts.append(cell)
            if count and side >= 18:
                look = "count deep" if count > total / 4 else "count"
                parts.append(svg.text(left + side / 2, up + side / 2 + 4, count, look, "middle"))
    height = top + side * len(names) + 8
    return svg.drawing("Which class the student takes for which", height, *parts)


def draw_sensitivity(layers: Sequence[Mapping[str, Any]]) -> Markup:
    """What it costs to round the weights and the input of each layer, the costliest first.

    Args:
        layers: of sensitivity.json, at least one.
    """
    ordered = sorted(layers, key=lambda row: -max(row["weight_distance"], row["input_distance"]))
    shown = ordered[:MOST_LAYERS]
    costs = [row[name] for row in shown for name in ("weight_distance", "input_distance")]
    above = [cost for cost in costs if cost > 0] or [1.0]
    top, step, left = 34.0, 22.0, 196.0
    bottom = top + step * len(shown)
    low, high = svg.widen_log(above)
    x = svg.PlotAxis(low, high, left, RIGHT - 4, logarithmic=True)
    parts = [svg.frame_x(x, top, bottom, "how far the outputs move (logarithmic)", powers=True)]
    for number, row in enumerate(shown):
        middle = top + step * (number + 0.5)
        weights, inputs = row["weight_distance"], row["input_distance"]
        said = f"{row['layer']}: weights {weights:.1e}, input {inputs:.1e}"
        marks = [svg.element("title", said)]
        if weights > 0:
            marks.append(
                svg.element("circle", cx=x.place(weights), cy=middle, r=4.5, class_="mark c0")
            )
        if inputs > 0:
            at = x.place(inputs)
            marks.append(
                svg.element("rect", x=at - 4, y=middle - 4, width=8.0, height=8.0, class_="mark c1")
            )
        name = svg.shorten(row["layer"], 26)
        parts += [
            svg.text(left - 8, middle + 4, name, "tick", "end"),
            svg.line(left, middle, RIGHT - 4, middle, "grid"),
            svg.element("g", *marks),
        ]
    return svg.drawing("What each layer's rounding costs", bottom + 44, *parts)

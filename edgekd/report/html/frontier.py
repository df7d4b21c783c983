"""Draws score against latency: every measured row with its intervals, and the frontier of the fastest and best."""

from __future__ import annotations

import math
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from edgekd.bench.roles import STUDENT
from edgekd.bench.status import OK
from edgekd.report.html import svg
from edgekd.report.result_row import Interval
from edgekd.report.result_row import Row
from edgekd.task import Scale
from edgekd.task import value_text
from edgekd.units import bytes_text

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 380.0, 68.0, 588.0, 40.0, 332.0
SIZE = 6.0
CORNERS = {"fp32": 0, "bf16": 4, "fp16": 3, "int8": -4, "int8-bf16": -6, "int4": -3}
"""Shape by precision: 0 is a circle, -4 a square on its corner."""
PLACES = [(dx, dy) for dy in (-14, 22, -30, 38) for dx in (0, -40, 40)]


class FrontierPoint(NamedTuple):
    """One measured row."""

    row: Row
    anchor: str
    """The id of its row in a table."""
    latency_ms: float
    score: float
    score_ci95: Interval | None
    colour: int
    chosen: bool


def list_points(
    rows: Mapping[str, Row], chosen: str | None, colours: Mapping[str, int]
) -> tuple[list[FrontierPoint], str]:
    """The rows that were timed and scored at the usual sizes; and of which split all their scores are.

    Args:
        rows: by the id of their row in a table.
        chosen: a row's name.
        colours: by runtime.
    """
    timed = {
        anchor: row
        for anchor, row in rows.items()
        if row.latency_p50_ms and row.validation_score is not None and not row.usual_row
    }
    tested = bool(timed) and all(row.score is not None for row in timed.values())
    points = [
        FrontierPoint(
            row,
            anchor,
            float(row.latency_p50_ms or 0),
            float((row.score if tested else row.validation_score) or 0),
            row.score_ci95 if tested else row.validation_ci95,
            colours[row.runtime],
            row.name == chosen,
        )
        for anchor, row in timed.items()
    ]
    return points, "test" if tested else "validation"


def draw_frontier(
    points: Sequence[FrontierPoint],
    scale: Scale,
    split: str,
    best: Sequence[FrontierPoint] | None = None,
) -> Markup:
    """The drawing; up and left is better. A point links to its row of the table.

    Args:
        points: of `list_points`.
        scale: of the score.
        split: of which the scores are.
        best: those through which the line goes; by `find_frontier` if None.
    """
    if not points:
        words = svg.text(svg.WIDTH / 2, HEIGHT / 2, "nothing was measured", "axis", "middle")
        return svg.drawing("Nothing was measured.", HEIGHT, words)
    percent = scale.unit == "fraction"
    ends = [end for point in points for end in (point.score, *(point.score_ci95 or ()))]
    low, high = svg.widen(ends)
    if percent:
        low, high = max(0.0, low), min(1.0, high)
    better = (BOTTOM, TOP) if scale.better == "higher" else (TOP, BOTTOM)
    times = [end for p in points for end in (p.latency_ms, *(p.row.latency_ci95_ms or ()))]
    x = svg.PlotAxis(
        *svg.widen_log([t for t in times if t > 0]), LEFT + 8, RIGHT - 8, logarithmic=True
    )
    y = svg.PlotAxis(low, high, *better)
    note = "" if scale.better == "higher" else ", lower is better"
    label = f"{split} {scale.name}{note}"
    spots = [(x.place(point.latency_ms), y.place(point.score)) for point in points]
    line = find_frontier(points, scale) if best is None else best
    line = sorted(line, key=lambda point: point.latency_ms)
    stairs = [(x.place(point.latency_ms), y.place(point.score)) for point in line]
    parts = [
        svg.frame(x, y, "latency of one sample, median (ms, logarithmic)", label, percent=percent),
        svg.path(stairs, "frontier"),
        *(_draw_point(point, x, y, scale) for point in points),
        *_write_names(points, spots),
    ]
    said = f"{label} against latency of {len(points)} rows, each with its 95 % intervals"
    return svg.drawing(said, HEIGHT, *parts, role="group")


def find_frontier(points: Sequence[FrontierPoint], scale: Scale) -> list[FrontierPoint]:
    """The points that no other beats in latency and in score."""
    sign = 1 if scale.better == "higher" else -1

    def beats(one: FrontierPoint, other: FrontierPoint) -> bool:
        mine, its = (-one.latency_ms, sign * one.score), (-other.latency_ms, sign * other.score)
        return mine != its and mine[0] >= its[0] and mine[1] >= its[1]

    return [point for point in points if not any(beats(other, point) for other in points)]


def describe_point(point: FrontierPoint, scale: Scale) -> str:
    """One line with all that matters of a row."""
    row = point.row
    score = value_text(scale, point.score)
    if point.score_ci95 is not None:
        score += f" ({interval_text(point.score_ci95, scale)})"
    times = f"{point.latency_ms:.3g} ms"
    if row.latency_ci95_ms is not None:
        times += f" ({row.latency_ci95_ms[0]:.3g} to {row.latency_ci95_ms[1]:.3g})"
    size = "" if row.size_bytes is None else f", {bytes_text(row.size_bytes)}"
    memory = "" if row.peak_rss_bytes is None else f", memory {bytes_text(row.peak_rss_bytes)}"
    status = "" if row.status == OK else f", {row.status}"
    return f"{row.name}{', chosen' if point.chosen else ''}: {score} {scale.name}, {times}{size}{memory}{status}"


def interval_text(interval: Sequence[float], scale: Scale) -> str:
    """``91.98 to 97.07 %``."""
    if scale.unit == "fraction":
        return " to ".join(f"{100 * end:.2f}" for end in interval) + " %"
    return " to ".join(f"{end:.4g}" for end in interval)


def _draw_point(point: FrontierPoint, x: svg.PlotAxis, y: svg.PlotAxis, scale: Scale) -> Markup:
    at, up = x.place(point.latency_ms), y.place(point.score)
    parts = []
    if point.row.latency_ci95_ms is not None and point.row.latency_ci95_ms[0] > 0:
        left, right = map(x.place, point.row.latency_ci95_ms)
        parts.append(svg.line(left, up, right, up, "interval"))
    if point.score_ci95 is not None:
        low, high = map(y.place, point.score_ci95)
        parts.append(svg.line(at, low, at, high, "interval"))
    if point.chosen:
        parts.append(svg.element("circle", cx=at, cy=up, r=SIZE + 6, class_="ring"))
    look = f"mark{' hollow' if point.row.model != STUDENT else ''}"
    parts.append(draw_mark(at, up, point.row.precision, look))
    said = describe_point(point, scale)
    return svg.element(
        "a",
        svg.element("title", said),
        *parts,
        svg.element("circle", cx=at, cy=up, r=SIZE + 9, class_="target"),
        href=f"#{point.anchor}",
        class_=f"point c{point.colour}{'' if point.row.status == OK else ' doubtful'}",
        data_details=said,
        aria_label=said,
    )


def draw_mark(at: float, up: float, precision: str, look: str) -> Markup:
    """The shape of a precision, around a place."""
    corners = CORNERS.get(precision, 5)
    if not corners:
        return svg.element("circle", cx=at, cy=up, r=SIZE, class_=look)
    turn = 0.0 if corners < 0 else math.pi / 4 if corners == 4 else math.pi / 2
    sides = abs(corners)
    angles = [turn + 2 * math.pi * side / sides for side in range(sides)]
    places = " ".join(
        f"{at + 1.25 * SIZE * math.cos(a):.1f},{up - 1.25 * SIZE * math.sin(a):.1f}" for a in angles
    )
    return svg.element("polygon", points=places, class_=look)


def _write_names(
    points: Sequence[FrontierPoint], spots: Sequence[tuple[float, float]]
) -> Iterator[Markup]:
    """Names where they hide nothing, the chosen one's first; a row without one is named by its details."""
    taken = [(at - SIZE, up - SIZE, at + SIZE, up + SIZE) for at, up in spots]
    order = sorted(zip(points, spots, strict=True), key=lambda each: not each[0].chosen)
    for point, (at, up) in order:
        name = f"{point.row.name}{', chosen' if point.chosen else ''}"
        half = svg.CHARACTER * len(name) / 2
        for dx, dy in PLACES:
            centre = min(max(at + dx, LEFT + half), RIGHT - half)
            box = (centre - half, up + dy - 11, centre + half, up + dy + 3)
            free = not any(_overlap(box, other) for other in taken)
            if free and box[1] >= TOP - 4 and box[3] <= BOTTOM + 2:
                taken.append(box)
                look = f"name c{point.colour}{' strong' if point.chosen else ''}"
                yield svg.text(centre, up + dy, name, look, "middle")
                break


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]

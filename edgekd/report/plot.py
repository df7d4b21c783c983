"""Plots of a result; the same numbers give the same bytes."""

from __future__ import annotations

import io
import itertools
import warnings
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from edgekd.bench.roles import CONTROL
from edgekd.bench.roles import REFERENCE
from edgekd.bench.roles import STUDENT
from edgekd.bench.roles import TEACHER
from edgekd.bench.status import OK
from edgekd.printable import escape_unprintable
from edgekd.report.result import Result
from edgekd.report.result_row import Row
from edgekd.task import Scale

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9")
"""Okabe and Ito 2008: told apart by colour-blind readers too."""
MARKERS = {"fp32": "o", "bf16": "s", "fp16": "^", "int8": "D", "int8-bf16": "d", "int4": "P"}
STYLE = {
    "svg.hashsalt": "edgekd",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "legend.fontsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e5e5e5",
    "axes.axisbelow": True,
    "legend.frameon": False,
}
ROLE_COLOURS = {
    TEACHER: "#666666",
    REFERENCE: "#666666",
    CONTROL: COLOURS[1],
    STUDENT: COLOURS[0],
}
LABEL_PLACES = [
    (dx, dy) for dy in (11, -11, 22, -22, 33, -33, 44, -44) for dx in (0, 16, -16, 32, -32, 48, -48)
]
"""Offsets in points tried for a label, the nearest first."""
LABEL_SIZE = 9.5
"""Points; they are read at half the size, too."""
STEP_COLOURS = (COLOURS[0], *COLOURS[2:])
"""Of steps that no role is called by, in their order."""


def draw_score_latency(result: Result, kind: str) -> bytes:
    """The score against latency (logarithmic) of all measured rows of usual sizes, the chosen one marked; better is
    up.

    Args:
        result: whose rows.
        kind: ``svg`` or ``png``.
    """
    rows = [
        row
        for row in (*result.candidates, *result.references)
        if row.latency_p50_ms and row.validation_score is not None and not row.usual_row
    ]
    scale = Scale(**result.metric.model_dump())
    split = "test" if all(row.score is not None for row in rows) else "validation"

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        runtimes = sorted({row.runtime for row in rows})
        colours = dict(zip(runtimes, itertools.cycle(COLOURS), strict=False))
        points = [(row, float(row.latency_p50_ms or 0), _shown(row, split, scale)) for row in rows]
        for row, x, y in points:
            _draw_row(axes, row, x, y, colours[row.runtime], row.name == result.chosen)
            ends = [_factor(scale) * end for end in _interval(row, split)]
            if ends:
                axes.vlines(x, *ends, color=colours[row.runtime], linewidth=1.5, alpha=0.6)
        axes.set_xscale("log")
        axes.set_title("Score against latency, with 95 % intervals")
        axes.set_xlabel("latency of one sample, median (ms, logarithmic)")
        axes.set_ylabel(axis_label(scale, split))
        axes.margins(x=0.16)
        ends = [_factor(scale) * end for row, _, _ in points for end in _interval(row, split)]
        _limit_scores(axes, [*(y for _row, _x, y in points), *ends], scale)
        write_plain_ticks(axes)
        _legend(figure, axes, rows, colours)
        if not points:
            axes.text(0.5, 0.5, "nothing was measured", transform=axes.transAxes, ha="center")
        _label(figure, axes, points, colours, result.chosen)

    return render_figure(draw, (7.6, 5.0), kind)


def axis_label(scale: Scale, split: str) -> str:
    """``test accuracy (%)``."""
    notes = [
        *(["%"] if scale.unit == "fraction" else []),
        *(["lower is better"] if scale.better == "lower" else []),
    ]
    return f"{split} {scale.name}" + (f" ({', '.join(notes)})" if notes else "")


def draw_learning_curves(
    histories: Mapping[str, Sequence[Mapping[str, float]]], scale: Scale, kind: str
) -> bytes:
    """Loss terms and the validation score by epoch.

    Args:
        histories: history.json by role, or by label of the step; empty for a model that was not trained here.
        scale: of the score.
        kind: ``svg`` or ``png``.
    """

    def draw(figure: Any) -> None:
        losses, scores = figure.subplots(1, 2)
        others = itertools.cycle(STEP_COLOURS)
        for role, history in histories.items():
            colour = ROLE_COLOURS.get(role) or (next(others) if history else "")
            epochs = range(1, len(history) + 1)
            terms = [
                name
                for name in (history[0] if history else {})
                if name not in ("learning_rate", "score")
            ]
            marker = "o" if len(history) == 1 else ""
            look = {"color": colour, "marker": marker}
            for term, dashes in zip(terms, itertools.cycle(("-", "--", ":", "-.")), strict=False):
                values = [row.get(term) for row in history]
                losses.plot(epochs, values, dashes, label=f"{role}: {term}", **look)
            if history:
                shown = [_factor(scale) * row["score"] for row in history]
                scores.plot(epochs, shown, label=role, **look)
        losses.set_title("Loss terms, mean over the epoch")
        scores.set_title("Score on the validation samples")
        scores.set_ylabel(axis_label(scale, "validation"))
        for axes in (losses, scores):
            axes.set_xlabel("epoch")
            axes.xaxis.get_major_locator().set_params(integer=True)
            if axes.lines:
                axes.legend(fontsize=LABEL_SIZE)

    return render_figure(draw, (9.6, 4.2), kind)


def _draw_row(axes: Any, row: Row, x: float, y: float, colour: str, chosen: bool) -> None:
    compared = row.model != STUDENT
    if row.latency_ci95_ms is not None:
        low, high = row.latency_ci95_ms
        axes.hlines(y, min(low, x), max(high, x), color=colour, linewidth=1.5, alpha=0.6)
    axes.scatter(
        [x],
        [y],
        s=42,
        marker=MARKERS.get(row.precision, "v"),
        facecolor="white" if compared else colour,
        edgecolor=colour,
        alpha=1.0 if row.status == OK else 0.4,
        zorder=3,
        clip_on=False,
    )
    if chosen:
        axes.scatter(
            [x],
            [y],
            s=170,
            facecolor="none",
            edgecolor="black",
            linewidth=1.4,
            zorder=4,
            clip_on=False,
        )


def _legend(figure: Any, axes: Any, rows: Sequence[Row], colours: Mapping[str, str]) -> None:
    for runtime, colour in colours.items():
        axes.scatter([], [], color=colour, label=runtime)
    for precision in sorted({row.precision for row in rows}):
        marker = MARKERS.get(precision, "v")
        axes.scatter([], [], color="#888888", marker=marker, label=precision)
    for role in sorted({row.model for row in rows} - {STUDENT}):
        axes.scatter([], [], facecolor="white", edgecolor="#888888", label=role)
    axes.scatter([], [], s=130, facecolor="none", edgecolor="black", label="chosen")
    figure.legend(loc="outside upper center", ncols=5, columnspacing=1.4)


def _label(
    figure: Any,
    axes: Any,
    points: Sequence[tuple[Row, float, float]],
    colours: Mapping[str, str],
    chosen: str | None,
) -> None:
    """Name each point where its text hides neither a point nor another text."""
    figure.draw_without_rendering()
    scale = figure.dpi / 72
    taken = []
    for row, x, y in points:
        left, low = axes.transData.transform((x, y))
        half = (8 if row.name == chosen else 4) * scale
        taken.append((left - half, low - half, left + half, low + half))
    for row, x, y in sorted(points, key=lambda point: (point[0].name != chosen, point[1])):
        name = f"{row.name}, chosen" if row.name == chosen else row.name
        weight = "bold" if row.name == chosen else "normal"
        look = {"ha": "center", "va": "center", "fontsize": LABEL_SIZE, "fontweight": weight}
        look["color"] = colours[row.runtime]
        text = axes.annotate(name, (x, y), xytext=(0, 0), textcoords="offset points", **look)
        text.set_in_layout(False)
        for place in LABEL_PLACES:
            text.set_position(place)
            box = tuple(text.get_window_extent().padded(1.5 * scale).extents)
            inside = axes.bbox.x0 <= box[0] and box[2] <= figure.bbox.x1
            if inside and not any(_overlap(box, other) for other in taken):
                break
        taken.append(box)
        if abs(place[1]) > 11:
            axes.annotate(
                "",
                (x, y),
                xytext=(place[0] * 0.8, place[1] - (5 if place[1] > 0 else -5)),
                textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": "#aaaaaa", "linewidth": 0.6},
            )


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def write_plain_ticks(axes: Any) -> None:
    """``0.1, 0.2, 0.5`` instead of powers of ten."""
    from matplotlib.ticker import FuncFormatter
    from matplotlib.ticker import LogLocator
    from matplotlib.ticker import NullFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _limit_scores(axes: Any, shown: Sequence[float], scale: Scale) -> None:
    """Set the limits of the score's axis: better is up, with room for labels, and from 0 to 100 % at most."""
    if not shown:
        return
    low, high = min(shown), max(shown)
    percent = scale.unit == "fraction"
    room = max(0.28 * (high - low), 1.0 if percent else 0.02 * max(abs(low), abs(high))) or 1.0
    least, most = (
        (max(0.0, low - room), min(100.0, high + room)) if percent else (low - room, high + room)
    )
    axes.set_ylim(least, most)
    axes.set_yticks([tick for tick in axes.get_yticks() if least <= tick <= most])
    if scale.better == "lower":
        axes.invert_yaxis()


def _factor(scale: Scale) -> int:
    return 100 if scale.unit == "fraction" else 1


def _interval(row: Row, split: str) -> tuple[float, ...]:
    """The ends of the interval of its score; none where that is not known."""
    return (row.score_ci95 if split == "test" else row.validation_ci95) or ()


def _shown(row: Row, split: str, scale: Scale) -> float:
    score = row.score if split == "test" else row.validation_score
    return _factor(scale) * float(score or 0)


def render_figure(draw: Callable[[Any], None], inches: tuple[float, float], kind: str) -> bytes:
    """A figure that `draw` fills, as ``svg`` or ``png``.

    A name may be in a script that the font lacks: an SVG's reader has another.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=inches, dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        out = io.BytesIO()
        silent = {"Date": None, "Creator": None} if kind == "svg" else {"Software": None}
        figure.savefig(out, format=kind, metadata=silent)
    if kind != "svg":
        return out.getvalue()
    return escape_unprintable(out.getvalue().decode(), keep="\n\t").encode()

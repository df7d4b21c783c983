"""Draws how latencies are spread: quartiles and tails of all iterations, and the median of every process."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from markupsafe import Markup

from edgekd.bench.statistics import median
from edgekd.report.html import svg

NS_PER_MS = 1e6
LEFT, RIGHT, TOP, STEP = 196.0, 588.0, 34.0, 30.0
SHARES = (0.01, 0.25, 0.5, 0.75, 0.99)


class LatencySpread(NamedTuple):
    """The times of one row, in ms."""

    quantiles: tuple[float, ...]
    """At `SHARES` of all iterations."""
    medians: tuple[float, ...]
    """Of each process."""


def summarize_times(raw: Mapping[str, Any]) -> dict[str, LatencySpread]:
    """The spread of each row that was timed.

    Args:
        raw: of raw.json.gz, which the stage `measure` gives.
    """
    found = {}
    for name, subject in raw["subjects"].items():
        processes = [process["iters_ns"] for process in subject["processes"] if process["iters_ns"]]
        times = sorted(ns / NS_PER_MS for process in processes for ns in process)
        if times:
            quantiles = tuple(times[round(share * (len(times) - 1))] for share in SHARES)
            medians = tuple(median(process) / NS_PER_MS for process in processes)
            found[name] = LatencySpread(quantiles, medians)
    return found


def draw_latencies(
    spreads: Mapping[str, LatencySpread], colours: Mapping[str, int], names: Sequence[str]
) -> Markup:
    """One strip a row: a box from the first to the third quartile, a line from 1 to 99 %, a dot a process.

    Args:
        spreads: of `summarize_times`, at least one.
        colours: by name.
        names: in their order.
    """
    shown = [name for name in names if name in spreads]
    ends = [value for name in shown for value in (*spreads[name].quantiles, *spreads[name].medians)]
    bottom = TOP + STEP * len(shown)
    low, high = svg.widen_log([end for end in ends if end > 0], 0.04)
    x = svg.PlotAxis(low, high, LEFT, RIGHT - 4, logarithmic=True)
    parts = [svg.frame_x(x, TOP, bottom, "latency of one call (ms, logarithmic)")]
    for number, name in enumerate(shown):
        middle = TOP + STEP * (number + 0.5)
        first, lower, centre, upper, last = spreads[name].quantiles
        said = (
            f"{name}: median {centre:.3g} ms, half of all calls {lower:.3g} to {upper:.3g}, "
            f"98 % {first:.3g} to {last:.3g}, {len(spreads[name].medians)} processes"
        )
        left, right = x.place(lower), x.place(upper)
        box = svg.element(
            "rect", x=left, y=middle - 7, width=max(1.0, right - left), height=14.0, class_="box"
        )
        dots = [
            svg.element("circle", cx=x.place(value), cy=middle + 10, r=2.0, class_="mark")
            for value in spreads[name].medians
        ]
        at = x.place(centre)
        parts += [
            svg.text(LEFT - 8, middle + 4, svg.shorten(name, 28), "tick", "end"),
            svg.element(
                "g",
                svg.element("title", said),
                svg.line(x.place(first), middle, x.place(last), middle, "interval"),
                box,
                svg.line(at, middle - 9, at, middle + 9, "median"),
                *dots,
                class_=f"c{colours[name]}",
            ),
        ]
    return svg.drawing("How latencies of the rows are spread", bottom + 44, *parts)

"""The distribution of latencies, one curve a subject; the same numbers give the same bytes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from edgekd.bench.session import Measurement
from edgekd.bench.statistics import median
from edgekd.report import plot

NS_PER_MS = 1e6
MOST_POINTS = 2000
"""Of one curve; more are thinned out, its ends kept."""


def draw_plot(measured: Sequence[Measurement], kind: str) -> bytes:
    """Share of iterations that took at most so long, over all processes, with a tick at the median
    of each process: narrow curves with scattered ticks are a machine that drifts.

    Args:
        measured: whose times.
        kind: ``svg`` or ``png``.
    """
    subjects = [found for found in measured if found.processes]

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        for number, (found, colour) in enumerate(
            zip(subjects, itertools.cycle(plot.COLOURS), strict=False)
        ):
            times_ms = [ns / NS_PER_MS for p in found.processes for ns in p["iters_ns"]]
            x, share = distribution_curve(times_ms)
            label = f"{found.subject.name}: median {median(times_ms):.4g} ms"
            axes.plot(x, share, color=colour, linewidth=1.4, drawstyle="steps-post", label=label)
            ticks = [ns / NS_PER_MS for ns in found.medians_ns()]
            height = -0.03 * (1 + number)
            axes.plot(ticks, [height] * len(ticks), "|", color=colour, markersize=7)
        axes.set_xscale("log")
        plot.write_plain_ticks(axes)
        axes.set_title("How latencies are spread")
        axes.set_xlabel("latency of one call (ms, logarithmic); ticks: medians of fresh processes")
        axes.set_ylabel("share of calls")
        axes.set_yticks([0, 0.25, 0.5, 0.75, 0.9, 1])
        figure.legend(loc="outside upper center", ncols=1)

    return plot.render_figure(draw, (8.0, 4.2 + 0.2 * len(subjects)), kind)


def distribution_curve(values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Values in order, and for each the share of all that are not above it; thinned evenly.

    Raises:
        ValueError: if there are none.
    """
    if not values:
        raise ValueError("want at least one value")
    ordered = sorted(values)
    count = len(ordered)
    points = min(count, MOST_POINTS)
    picked = [(count - 1) * point // max(1, points - 1) for point in range(points)]
    return [ordered[i] for i in picked], [(i + 1) / count for i in picked]

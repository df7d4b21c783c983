"""Plots of what the student learned; the same numbers give the same bytes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from edgekd.bench.proportion import wilson
from edgekd.printable import escape_unprintable
from edgekd.report import plot
from edgekd.report.score_explanation import name_role
from edgekd.sampling_error import NORMAL_95

MOST_CLASSES = 40
"""Bars shown; of more classes those that differ most."""
LONGEST = 24
"""Characters of a name beside an axis."""
Content = Mapping[str, Any]


def draw_plots(content: Content, kind: str) -> dict[str, bytes]:
    """Every plot of explain.json, by name without the file's ending.

    Args:
        content: explain.json.
        kind: ``svg`` or ``png``.
    """
    made = {}
    if "classes" in content:
        made["reliability"] = draw_reliability(content["models"], kind)
    if "by_class" in content:
        made["class_gains"] = draw_class_gains(content["by_class"], content["classes"], kind)
    if content["similarity"]:
        made["layer_similarity"] = draw_similarity(content["similarity"], kind)
    return made


def draw_reliability(models: Mapping[str, Content], kind: str) -> bytes:
    """Accuracy against confidence of each model; under the diagonal it is too sure of itself.

    Args:
        models: what explain.json says of each, by role.
        kind: ``svg`` or ``png``.
    """

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8, linestyle="--")
        for role, found in models.items():
            bins = [one for one in found["reliability"] if one["samples"]]
            total = sum(one["samples"] for one in bins)
            x, y = ([one[name] for one in bins] for name in ("confidence", "accuracy"))
            sizes = [8 + 160 * one["samples"] / total for one in bins]
            colour = plot.ROLE_COLOURS.get(role, "black")
            label = f"{role}: off by {100 * found['calibration_error']:.2f} %"
            ends = [wilson(one["accuracy"], one["samples"]) for one in bins]
            axes.vlines(x, *zip(*ends, strict=True), color=colour, linewidth=1, alpha=0.35)
            axes.plot(x, y, color=colour, linewidth=1.2, label=label)
            axes.scatter(x, y, s=sizes, color=colour, alpha=0.6, linewidths=0, clip_on=False)
        axes.set_title("Is it as sure as it is right?")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("confidence (area: share of the samples)")
        axes.set_ylabel("accuracy")
        axes.set_aspect("equal")
        figure.legend(loc="outside upper center")

    return plot.render_figure(draw, (5.6, 6.0), kind)


def draw_class_gains(by_class: Sequence[Content], names: Sequence[str], kind: str) -> bytes:
    """The student's accuracy above the others', class by class: a bar for the control, or else what the run began with.

    Args:
        by_class: rows of explain.json.
        names: of all classes.
        kind: ``svg`` or ``png``.
    """

    def points(row: Content, other: str) -> float:
        return float(row["above"][other]["points"])

    first, *others = sorted(by_class[0]["above"])
    most = sorted(by_class, key=lambda row: -abs(points(row, first)))[:MOST_CLASSES]
    rows = sorted(most, key=lambda row: points(row, first))

    def draw(figure: Any) -> None:
        axes = figure.add_subplot()
        places = range(len(rows))
        colour = plot.ROLE_COLOURS["student"]
        values = [points(r, first) for r in rows]
        axes.barh(places, values, color=colour, alpha=0.75, label=f"above {name_role(first)}")
        halves = [half_width(r["above"][first], r["samples"]) for r in rows]
        axes.errorbar(
            values, places, xerr=halves, fmt="none", ecolor="black", elinewidth=1, capsize=2
        )
        for other in others:
            axes.plot(
                [points(r, other) for r in rows],
                places,
                "D",
                color=plot.ROLE_COLOURS[other],
                markersize=4,
                label=f"above {name_role(other)}",
            )
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_yticks(places, [_short(names[row["number"]]) for row in rows])
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("accuracy of the student above the other's (points; bar: 95 % interval)")
        title = "Accuracy class by class"
        if len(rows) < len(by_class):
            title += f": the {len(rows)} of {len(by_class)} that differ most"
        axes.set_title(title)
        figure.legend(loc="outside upper center", ncols=2)

    return plot.render_figure(draw, (7.2, 1.9 + 0.26 * len(rows)), kind)


def half_width(change: Content, samples: int) -> float:
    """Half of the 95 % interval of a paired difference of two shares, in points: normal approximation.

    Args:
        change: with the samples that one of two models alone has right, ``corrected`` and ``lost``.
        samples: all of them.
    """
    won, lost = change["corrected"], change["lost"]
    return 100 * NORMAL_95 * math.sqrt(won + lost - (won - lost) ** 2 / samples) / samples


def draw_similarity(found: Sequence[Content], kind: str) -> bytes:
    """Return how alike the layers of two models are, a map a pair.

    Args:
        found: pairs as explain.json has them: ``one`` down, ``other`` across.
        kind: ``svg`` or ``png``.
    """
    width = sum(2.6 + 0.4 * len(pair["columns"]) for pair in found)
    height = 2.4 + 0.34 * max(len(pair["rows"]) for pair in found)

    def draw(figure: Any) -> None:
        panels = figure.subplots(1, len(found), squeeze=False)[0]
        for axes, pair in zip(panels, found, strict=True):
            mesh = _map(axes, pair)
            axes.set_title(f"{pair['other']} beside {pair['one']}")
        bar = figure.colorbar(mesh, ax=list(panels), label="similarity (linear CKA)")
        bar.solids.set_rasterized(False)

    return plot.render_figure(draw, (width, height), kind)


def _map(axes: Any, pair: Content) -> Any:
    """Squares, not an embedded picture: they stay sharp, and every writer spells them alike."""
    values = [[float("nan") if v is None else v for v in row] for row in pair["cka"]]
    mesh = axes.pcolormesh(values, cmap="viridis", vmin=0, vmax=1)
    axes.grid(visible=False)
    axes.invert_yaxis()
    axes.set_xticks([i + 0.5 for i in range(len(pair["columns"]))], map(_short, pair["columns"]))
    axes.set_yticks([i + 0.5 for i in range(len(pair["rows"]))], map(_short, pair["rows"]))
    axes.tick_params(axis="x", rotation=90)
    axes.set_xlabel(pair["other"])
    axes.set_ylabel(pair["one"])
    return mesh


def _short(name: str) -> str:
    """A name that fits beside an axis."""
    line = " ".join(escape_unprintable(name).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"

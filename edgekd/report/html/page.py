"""Writes one run as an HTML page that needs nothing beside it: report.html."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

from markupsafe import Markup

from edgekd import files
from edgekd.bench.proportion import wilson
from edgekd.bench.roles import NAMES
from edgekd.bench.roles import ROLES
from edgekd.bench.roles import STUDENT
from edgekd.report import tables
from edgekd.report.explanation import make_section
from edgekd.report.generation_table import make_generation_table
from edgekd.report.html import confusion
from edgekd.report.html import curves
from edgekd.report.html import frontier
from edgekd.report.html import latencies
from edgekd.report.html import reliability
from edgekd.report.html import svg
from edgekd.report.html.frontier import interval_text
from edgekd.report.html.headline import write_headline
from edgekd.report.html.kernels import list_kernels
from edgekd.report.html.ledger import make_ledger
from edgekd.report.html.record import RunRecord
from edgekd.report.html.render import render_page
from edgekd.report.result import Model
from edgekd.report.result import Result
from edgekd.report.result_row import Interval
from edgekd.report.result_row import Row
from edgekd.task import Scale
from edgekd.task import value_text
from edgekd.units import bytes_text

MOST_ISLANDS = 100
"""Nodes of one engine that are named; result.json has them all."""


class KeyFigure(NamedTuple):
    """One figure of the chosen row."""

    name: str
    value: str
    interval: str
    """Of 95 %; empty where there is none."""
    reference: str
    """The same of what it is compared with; empty where that was not measured."""


def run_page(record: RunRecord) -> str:
    """The text of report.html.

    Args:
        record: of the run.
    """
    result = record.result
    scale = Scale(**result.metric.model_dump())
    rows = number_rows(result)
    points, split = frontier.list_points(rows, result.chosen, colour_runtimes([result]))
    return render_page(
        "page.html.j2",
        title=result.recipe,
        result=result,
        scale=scale,
        rows=rows,
        headline=write_headline(result),
        figures=list(list_figures(result, scale)),
        frontier=frontier.draw_frontier(points, scale, split),
        keys=list(list_keys(points)),
        ledger=make_ledger(result, record.scores, record.quantized, _validation_intervals(record)),
        curves=curves.draw_histories(record.histories, scale),
        latencies=_draw_latencies(record),
        explained=make_section(record.explained) if record.explained else None,
        reliability=_draw_reliability(record),
        confusion=_draw_confusion(record),
        samples=record.samples,
        sensitivity=list(_draw_sensitivity(record)),
        tables=tables.make_tables(record.tables),
        generation=make_generation_table(result),
        kernels=list_kernels(result),
        most_islands=MOST_ISLANDS,
        environment=explain_environment(result.environment),
        recipe=_recipe_text(result),
    )


def _draw_latencies(record: RunRecord) -> Markup | None:
    if not record.spreads:
        return None
    every = (*record.result.candidates, *record.result.references)
    colours = colour_runtimes([record.result])
    return latencies.draw_latencies(
        record.spreads,
        {row.name: colours[row.runtime] for row in every},
        [row.name for row in every],
    )


def _draw_reliability(record: RunRecord) -> Markup | None:
    models = (record.explained or {}).get("models", {})
    known = {role: models[role] for role in ROLES if "reliability" in models.get(role, {})}
    return reliability.draw_reliability(known) if known else None


def _draw_confusion(record: RunRecord) -> Markup | None:
    explained = record.explained or {}
    counts = explained.get("confusion_matrix")
    return confusion.draw_confusion(counts, explained["classes"]) if counts else None


def _draw_sensitivity(record: RunRecord) -> Iterator[tuple[str, Markup]]:
    for name, content in record.tables.items():
        layers = content.get("layers") or ()
        if layers and "weight_distance" in layers[0]:
            yield name, confusion.draw_sensitivity(layers)


def number_rows(result: Result, prefix: str = "row") -> dict[str, Row]:
    """The measured rows by the id that each has on the page."""
    every = (*result.candidates, *result.references)
    return {f"{prefix}-{number}": row for number, row in enumerate(every, 1)}


def colour_runtimes(results: Sequence[Result]) -> dict[str, int]:
    """The colour of each engine."""
    names = {row.runtime for each in results for row in (*each.candidates, *each.references)}
    return {name: number % svg.COLOURS for number, name in enumerate(sorted(names))}


def list_keys(points: Sequence[frontier.FrontierPoint]) -> Iterator[tuple[Markup, str]]:
    """What the looks of points mean, each with a sample."""
    for name, colour in sorted({(point.row.runtime, point.colour) for point in points}):
        yield _swatch("fp32", f"mark c{colour}"), name
    precisions = sorted({point.row.precision for point in points})
    for precision in precisions if len(precisions) > 1 else ():
        yield _swatch(precision, "mark"), precision
    for role in sorted({point.row.model for point in points} - {STUDENT}):
        yield _swatch("fp32", "mark hollow"), role


def _swatch(precision: str, look: str) -> Markup:
    mark = frontier.draw_mark(10.0, 10.0, precision, look)
    return svg.element("svg", mark, viewBox="0 0 20 20", class_="swatch", aria_hidden="true")


def list_figures(result: Result, scale: Scale) -> Iterator[KeyFigure]:
    """Score, latency, size and memory of the chosen row beside what it is compared with."""
    row = next((row for row in result.candidates if row.name == result.chosen), None)
    if row is None:
        return
    name = None if result.comparison is None else result.comparison.reference
    every = (*result.candidates, *result.references)
    other = next((row for row in every if row.name == name), None)
    role = "" if result.comparison is None else result.comparison.role
    model: Model | None = getattr(result, role) if role else None
    whose = NAMES.get(role, "")
    tested = row.score is not None
    score = row.score if tested else row.validation_score
    sure = row.score_ci95 if tested else row.validation_ci95
    if score is not None:
        its = None if model is None else model.score if tested else model.validation_score
        yield KeyFigure(
            f"{'test' if tested else 'validation'} {scale.name}",
            value_text(scale, score),
            "" if sure is None else interval_text(sure, scale),
            "" if its is None else f"{whose} {value_text(scale, its)}",
        )
    if row.latency_p50_ms is not None:
        its = None if other is None else other.latency_p50_ms
        ends = row.latency_ci95_ms
        yield KeyFigure(
            "latency of one sample",
            f"{row.latency_p50_ms:.3g} ms",
            "" if ends is None else f"{ends[0]:.3g} to {ends[1]:.3g} ms",
            "" if its is None else f"{whose} {its:.3g} ms",
        )
    for what, field in (("size", "size_bytes"), ("memory", "peak_rss_bytes")):
        mine, its = getattr(row, field), getattr(other, field, None)
        if mine is not None:
            beside = "" if its is None else f"{whose} {bytes_text(its)}"
            yield KeyFigure(what, bytes_text(mine), "", beside)


def _validation_intervals(record: RunRecord) -> dict[str, Interval | None]:
    """Of each step's score; none where a score is not the share of samples that are right."""
    result = record.result
    models = [getattr(result, role) for role in ROLES]
    counted = any(model is not None and model.validation_ci95 is not None for model in models)
    samples = int((result.data.get("counts") or {}).get("validation", 0))
    return {
        label: wilson(score["score"], samples) if counted and samples else None
        for label, score in record.scores.items()
    }


def _recipe_text(result: Result) -> str:
    return files.pretty_json(result.resolved_recipe).decode() if result.resolved_recipe else ""


def explain_environment(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of what is known of a machine."""
    return [
        (name, ", ".join(f"{key} {item}" for key, item in value.items() if item is not None))
        if isinstance(value, dict)
        else (name, str(value))
        for name, value in sorted(environment.items())
        if value is not None and name != "flags"
    ]

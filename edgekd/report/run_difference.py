"""In what two runs differ: settings, data, versions, machine and figures."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import Literal
from typing import NamedTuple

from edgekd.bench.roles import ROLES
from edgekd.report.result import Result
from edgekd.report.result_row import Row
from edgekd.strict_json import find_differences
from edgekd.task import Scale
from edgekd.task import value_text
from edgekd.units import bytes_text

DATA_FILES = ("data",)
"""Labels of steps whose files are the samples."""
Interval = tuple[float, float]
Overlap = Literal["apart", "overlap", "unknown"]


class FactDifference(NamedTuple):
    """One fact that is not the same in both runs; None where a run has none."""

    key: str
    first: Any
    second: Any


class FigureDifference(NamedTuple):
    """One figure of both runs, with its 95 % intervals where there are some."""

    figure: str
    first: float | None
    second: float | None
    first_ci95: Interval | None
    second_ci95: Interval | None
    unit: str
    """``ms``, ``bytes``, or the metric's name."""
    first_text: str
    second_text: str

    @property
    def overlap(self) -> Overlap:
        """Whether the intervals overlap; ``unknown`` where one is missing."""
        if self.first_ci95 is None or self.second_ci95 is None:
            return "unknown"
        (low, high), (other_low, other_high) = self.first_ci95, self.second_ci95
        return "overlap" if low <= other_high and other_low <= high else "apart"


class RunDifference(NamedTuple):
    """All in which two runs differ."""

    settings: tuple[FactDifference, ...]
    data: tuple[FactDifference, ...]
    versions: tuple[FactDifference, ...]
    machine: tuple[FactDifference, ...]
    figures: tuple[FigureDifference, ...]


def compare_runs(first: Result, second: Result) -> RunDifference:
    """Compare two results; what is the same in both is left out."""
    facts = {
        part: tuple(FactDifference(*each) for each in find_differences(read(first), read(second)))
        for part, read in (
            ("settings", _read_settings),
            ("data", _read_data),
            ("versions", _read_versions),
            ("machine", _read_machine),
        )
    }
    figures = tuple(each for each in _figures(first, second) if each.first != each.second)
    return RunDifference(**facts, figures=figures)


def _read_settings(found: Result) -> Mapping[str, Any]:
    return found.model_dump(mode="json")["resolved_recipe"]  # type: ignore[no-any-return]


def _read_data(found: Result) -> Mapping[str, Any]:
    made = {
        label: dict(found.lineage[label].files) for label in DATA_FILES if label in found.lineage
    }
    return {**found.model_dump(mode="json")["data"], "files": made}


def _read_versions(found: Result) -> Mapping[str, Any]:
    measuring = found.environment.get("versions") or {}
    return {"edgekd": found.edgekd, "learned with": found.versions, "measured with": measuring}


def _read_machine(found: Result) -> Mapping[str, Any]:
    return {name: value for name, value in found.environment.items() if name != "versions"}


def _figures(first: Result, second: Result) -> Iterator[FigureDifference]:
    """Scores by role, then score, latency, memory and size of the rows that both have, and of what each chose."""
    scales = [Scale(**each.metric.model_dump()) for each in (first, second)]
    if scales[0] != scales[1]:
        return
    scale = scales[0]
    for role in ROLES:
        one, other = getattr(first, role), getattr(second, role)
        if one is not None and other is not None:
            pair = (one.score, other.score)
            intervals = (one.score_ci95, other.score_ci95)
            yield _score(f"{role} {scale.name}", pair, intervals, scale)
    rows = [
        {row.name: row for row in (*each.candidates, *each.references)} for each in (first, second)
    ]
    chosen = [
        table.get(each.chosen or "") for table, each in zip(rows, (first, second), strict=True)
    ]
    if chosen[0] is not None and chosen[1] is not None and chosen[0].name != chosen[1].name:
        yield from _row_figures("chosen", chosen[0], chosen[1], scale)
    for name, row in rows[0].items():
        if name in rows[1]:
            yield from _row_figures(name, row, rows[1][name], scale)


def _row_figures(name: str, one: Row, other: Row, scale: Scale) -> Iterator[FigureDifference]:
    scores, intervals = (one.score, other.score), (one.score_ci95, other.score_ci95)
    yield _score(f"{name} {scale.name}", scores, intervals, scale)
    times = (one.latency_p50_ms, other.latency_p50_ms)
    yield FigureDifference(
        f"{name} p50",
        *times,
        one.latency_ci95_ms,
        other.latency_ci95_ms,
        "ms",
        *(_or_none(value, "{:.4g} ms".format) for value in times),
    )
    for what, pair in (
        ("memory", (one.peak_rss_bytes, other.peak_rss_bytes)),
        ("size", (one.size_bytes, other.size_bytes)),
    ):
        texts = (_or_none(value, bytes_text) for value in pair)
        yield FigureDifference(f"{name} {what}", *pair, None, None, "bytes", *texts)


def _score(
    figure: str,
    pair: tuple[float | None, float | None],
    intervals: tuple[Interval | None, Interval | None],
    scale: Scale,
) -> FigureDifference:
    texts = (_or_none(value, lambda value: value_text(scale, value)) for value in pair)
    return FigureDifference(figure, *pair, *intervals, scale.name, *texts)


def _or_none(value: float | None, text: Any) -> str:
    return "–" if value is None else str(text(value))

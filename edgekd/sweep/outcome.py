"""What the repetitions of a setting come to: one row with the mean score, and its budget's verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from edgekd.bench.budget import MET
from edgekd.bench.budget import OPEN
from edgekd.bench.budget import Budget
from edgekd.bench.budget import judge
from edgekd.bench.rows import reference_of
from edgekd.bench.statistics import Interval
from edgekd.bench.statistics import median
from edgekd.bench.status import OK
from edgekd.errors import InputError
from edgekd.report.result import LimitResult
from edgekd.report.result import MetricScale
from edgekd.report.result import Result
from edgekd.report.result_row import Row
from edgekd.settings import NonNegative
from edgekd.settings import Settings
from edgekd.sweep.frontier import Contender
from edgekd.sweep.frontier import MeasuredFigure
from edgekd.task import Scale

STUDENT_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""97.5 % quantiles of Student's law for 1 to 10 degrees of freedom; the last serves for more, where it is less."""


class SettingOutcome(Settings):
    """A setting that was carried out with all its seeds."""

    setting: dict[str, str]
    """By key of the recipe, its value."""
    repetitions: tuple[dict[str, str], ...]
    """The seeds, in their order; the winner's recipe has the first."""
    runs: tuple[str, ...]
    """Folder of each run, relative to the sweep's."""
    row: Row
    """The row that the first run ships, or else its nearest, averaged over the runs: its validation score is the mean,
    its latency the median, with the ends of all intervals, its memory and size the largest. Named for the row."""
    scores: tuple[float, ...]
    """The validation score of each run."""
    test_scores: tuple[float | None, ...]
    """The score of each on the test set: told of the winner, chosen by nothing."""
    metric: MetricScale
    """Name, unit and direction of the score."""
    budget: tuple[LimitResult, ...]
    """The verdicts on that row."""
    excess: tuple[NonNegative, ...]
    """By how much each limit is not kept, as a fraction of what is wanted; above 0 of what is left open, too."""

    @property
    def scale(self) -> Scale:
        """Of the score."""
        return Scale(**self.metric.model_dump())

    @property
    def is_inside(self) -> bool:
        """Whether every limit is kept."""
        return all(line.verdict == MET for line in self.budget)

    @property
    def is_open(self) -> bool:
        """Whether the figures keep every limit and an interval does not."""
        return not self.is_inside and all(line.verdict in (MET, OPEN) for line in self.budget)

    @property
    def contender(self) -> Contender:
        """What it is compared by."""
        row, sign = self.row, 1.0 if self.metric.better == "higher" else -1.0
        assert row.validation_score is not None and row.latency_p50_ms is not None
        score = None
        if row.validation_ci95 is not None:
            score = Interval(*sorted(sign * end for end in row.validation_ci95))
        latency = None if row.latency_ci95_ms is None else Interval(*row.latency_ci95_ms)
        return Contender(
            MeasuredFigure(sign * row.validation_score, score),
            MeasuredFigure(row.latency_p50_ms, latency if row.status == OK else None),
            self.is_inside,
        )


def mean_interval(values: Sequence[float]) -> Interval | None:
    """The 95 % interval of the mean by Student's law; None of fewer than two values, or of values that are all one."""
    count = len(values)
    if count < 2 or min(values) == max(values):
        return None
    mean = math.fsum(values) / count
    error = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1) / count)
    quantile = STUDENT_975[min(count - 2, len(STUDENT_975) - 1)]
    return Interval(mean - quantile * error, mean + quantile * error)


def average_rows(rows: Sequence[Row], *, is_fraction: bool) -> Row:
    """One row of the same row of several runs.

    Args:
        rows: measured and scored on the validation split.
        is_fraction: whether the score lies between 0 and 1.
    """
    scores = [float(row.validation_score or 0.0) for row in rows]
    interval = mean_interval(scores)
    if interval is not None and is_fraction:
        interval = Interval(max(0.0, interval.low), min(1.0, interval.high))
    ends = [row.latency_ci95_ms for row in rows]
    joined = [end for each in ends if each is not None for end in each]
    doubtful = next((row for row in rows if row.status != OK), rows[0])
    # a metric that one run lacks has no mean
    names = [name for name in rows[0].metrics if all(name in row.metrics for row in rows)]
    return rows[0].model_copy(
        update={
            "validation_score": math.fsum(scores) / len(scores),
            "validation_ci95": interval or _hull([row.validation_ci95 for row in rows]),
            "score": None,
            "score_ci95": None,
            "test_metrics": {},
            "metrics": {
                name: math.fsum(row.metrics[name] for row in rows) / len(rows) for name in names
            },
            "latency_p50_ms": median([float(row.latency_p50_ms or 0.0) for row in rows]),
            "latency_ci95_ms": None if None in ends else (min(joined), max(joined)),
            "peak_rss_bytes": _largest([row.peak_rss_bytes for row in rows]),
            "size_bytes": _largest([row.size_bytes for row in rows]),
            "status": doubtful.status,
            "reason": doubtful.reason,
        }
    )


def _hull(ends: Sequence[tuple[float, float] | None]) -> tuple[float, float] | None:
    known = [each for each in ends if each is not None]
    if len(known) < len(ends):
        return None
    return min(low for low, _ in known), max(high for _, high in known)


def _largest(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) else None


def judge_setting(
    setting: dict[str, str],
    repetitions: Sequence[dict[str, str]],
    runs: Sequence[str],
    results: Sequence[Result],
    budget: Budget,
) -> SettingOutcome:
    """What the results of a setting's runs come to.

    Raises:
        InputError: if nothing was measured, or the row of the first run could not be measured in another.
    """
    first = results[0]
    name = first.chosen or first.nearest
    if name is None:
        raise InputError(f"{runs[0]}: got no measured row, want one ({first.why})")
    scale = Scale(**first.metric.model_dump())
    rows = [_find_row(name, result, run) for result, run in zip(results, runs, strict=True)]
    row = average_rows(rows, is_fraction=scale.unit == "fraction")
    reference = _average_reference(name, results, is_fraction=scale.unit == "fraction")
    bases = [result.teacher or result.reference or result.student for result in results]
    base = math.fsum(model.validation_score for model in bases) / len(bases)
    scales = [Scale(**each.model_dump()) for each in first.scales] or [scale]
    verdicts = judge(
        row.model_dump(),
        None if reference is None else reference.model_dump(),
        budget,
        base,
        scales,
    )
    shown = ("limit", "want", "got", "verdict", "message")
    return SettingOutcome(
        setting=setting,
        repetitions=tuple(repetitions),
        runs=tuple(runs),
        row=row,
        scores=tuple(float(each.validation_score or 0.0) for each in rows),
        test_scores=tuple(each.score for each in rows),
        metric=first.metric,
        budget=tuple(LimitResult(**{key: getattr(v, key) for key in shown}) for v in verdicts),
        excess=tuple(max(v.excess, 0.0 if v.verdict == MET else 1e-9) for v in verdicts),
    )


def _find_row(name: str, result: Result, run: str) -> Row:
    row = next((each for each in result.candidates if each.name == name), None)
    if row is None or not row.latency_p50_ms or row.validation_score is None:
        why = "is no row there" if row is None else row.reason or row.status
        raise InputError(f"{run}: {name}: got no measurement ({why}), want one in every run")
    return row


def _average_reference(name: str, results: Sequence[Result], *, is_fraction: bool) -> Row | None:
    references: list[Row] = []
    for result in results:
        rows: list[dict[str, Any]] = [
            each.model_dump() for each in (*result.candidates, *result.references)
        ]
        row = next(each for each in rows if each["name"] == name)
        reference = reference_of(row, rows)
        if reference is None or not reference["latency_p50_ms"]:
            return None
        references.append(Row(**reference))
    return average_rows(references, is_fraction=is_fraction)

"""The ledger: what every step from teacher to proof scored, weighs, took, and cost in score."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from edgekd.bench.candidate import name_export
from edgekd.bench.roles import CONTROL
from edgekd.bench.roles import STUDENT
from edgekd.bench.roles import TEACHER
from edgekd.profile import PROFILES
from edgekd.report.result import Model
from edgekd.report.result import Result
from edgekd.report.result_row import Interval
from edgekd.task import Scale
from edgekd.task import score_drop

Scores = Mapping[str, Mapping[str, Any]]
"""score.json by the label of its step, in the order of the steps."""


class LedgerRow(NamedTuple):
    """One step; None where something is not known or there is none."""

    step: str
    about: str
    """What it makes."""
    validation: float | None = None
    validation_ci95: Interval | None = None
    cost: float | None = None
    """By how much its validation score is worse than that of `beside`, as `edgekd.task.score_drop` counts."""
    beside: str = ""
    """The step that it is compared with."""
    test: float | None = None
    test_ci95: Interval | None = None
    parameters: int | None = None
    size_bytes: int | None = None
    took_s: float | None = None


def make_ledger(
    result: Result,
    scores: Scores,
    quantized: Mapping[str, str],
    intervals: Mapping[str, Interval | None],
) -> list[LedgerRow]:
    """One row a step that learned, then export, compilation and the chosen row; of the nearest, if none was chosen.

    Args:
        result: of the run.
        scores: of its steps.
        quantized: labels of those that round the student, by numerics.
        intervals: of their validation scores, by label.
    """
    scale = Scale(**result.metric.model_dump())
    tested = dict(_list_models(result, scores, quantized))
    rows: list[LedgerRow] = []
    last: dict[str, float] = {}
    beside = ""
    for label, score in scores.items():
        model = tested.get(label)
        # a rounded student of other numerics begins where the float one ended
        before = TEACHER if label == CONTROL else beside
        value = score["score"]
        rows.append(
            LedgerRow(
                label,
                about="the student's network, trained without a teacher"
                if label == CONTROL
                else "",
                validation=value,
                validation_ci95=intervals.get(label),
                cost=score_drop(scale, value, last[before]) if before in last else None,
                beside=before if before in last else "",
                test=None if model is None else model.score,
                test_ci95=None if model is None else model.score_ci95,
                parameters=score["parameters"],
                **_traced(result, label),
            )
        )
        last[label] = value
        if label != CONTROL and label not in quantized.values():
            beside = label
    rows += _deployed(result, last, beside, quantized, scale)
    return rows


def _list_models(
    result: Result, scores: Scores, quantized: Mapping[str, str]
) -> Iterator[tuple[str, Model]]:
    """Label of the step and model of each that was judged on the test set."""
    others = (TEACHER, CONTROL, *quantized.values())
    floats = [label for label in scores if label not in others]
    labels = {TEACHER: TEACHER, CONTROL: CONTROL, STUDENT: floats[-1] if floats else STUDENT}
    for role, label in labels.items():
        model: Model | None = getattr(result, role)
        if model is not None:
            yield label, model
    for numerics, model in result.quantized.items():
        yield quantized.get(numerics, numerics), model


def _deployed(
    result: Result,
    last: Mapping[str, float],
    beside: str,
    quantized: Mapping[str, str],
    scale: Scale,
) -> Iterator[LedgerRow]:
    """Export, compilation and the row itself."""
    name = result.chosen or result.nearest
    row = next((row for row in result.candidates if row.name == name), None)
    if row is None:
        return
    numerics = PROFILES[row.profile].numerics if row.profile in PROFILES else ""
    source = quantized.get(numerics, beside)
    export = f"export-{name_export(STUDENT, row.profile)}"
    yield LedgerRow(export, "one ONNX file", **_traced(result, export))
    compiled = f"compile-{STUDENT}-{row.runtime}-{row.precision}"
    traced = {**_traced(result, compiled), "size_bytes": row.size_bytes}
    cost = None
    if row.validation_score is not None and source in last:
        cost = score_drop(scale, row.validation_score, last[source])
    yield LedgerRow(
        compiled,
        f"for {row.runtime}, {row.precision}",
        validation=row.validation_score,
        validation_ci95=row.validation_ci95,
        cost=cost,
        beside=source if cost is not None else "",
        **traced,
    )
    cost, start = None, TEACHER if TEACHER in last else next(iter(last), "")
    if row.validation_score is not None and start in last:
        cost = score_drop(scale, row.validation_score, last[start])
    yield LedgerRow(
        "chosen" if result.chosen else "nearest",
        row.name,
        validation=row.validation_score,
        validation_ci95=row.validation_ci95,
        cost=cost,
        beside=start if cost is not None else "",
        test=row.score,
        test_ci95=row.score_ci95,
        size_bytes=row.size_bytes,
        took_s=sum(one.took_s or 0 for one in result.lineage.values()) or None,
    )


def _traced(result: Result, label: str) -> dict[str, Any]:
    one = result.lineage.get(label)
    if one is None:
        return {}
    return {"size_bytes": one.model_bytes, "took_s": one.took_s}

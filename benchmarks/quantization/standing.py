"""Where edgekd's rows stand among the int8 rows, column by column: best, within noise of the best, behind."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

from measure import ENGINES
from measure import THREADS
from measure import Cells
from measure import Model
from measure import against
from measure import ratio

from edgekd.bench import statistics

NOISE = 0.05
"""A difference in accuracy with a larger McNemar p-value is none."""


def standings(models: Sequence[Model], cells: Cells) -> list[dict[str, Any]]:
    """One entry for each of our rows and each column.

    ``standing`` is ``best``, ``within noise`` or ``behind``; ``best`` and ``best_value`` say of whom.
    Accuracy: McNemar against the most accurate. Time: the interval of the ratio to the fastest reaches 1.01.
    Bytes, seconds, lines: no noise.
    """
    int8 = [model for model in models if model.about]
    return [
        {"name": model.name, **found}
        for model in int8
        if model.about.get("ours")
        for found in (*_measured(model, int8, cells), *_plain(model, int8, cells))
    ]


def _measured(ours: Model, rivals: Sequence[Model], cells: Cells) -> Iterator[dict[str, Any]]:
    for engine in ENGINES:
        cell = cells[ours.name, engine]
        right = {
            model.name: found
            for model in rivals
            if (found := cells[model.name, engine].right) is not None
        }
        if cell.right is not None:
            best = max(right, key=lambda name: right[name].mean())
            told = against(cell.right, right[best])
            value, top = float(cell.right.mean()), float(right[best].mean())
            near = told["mcnemar_p"] > NOISE
            yield _entry(f"accuracy, {engine}", value, best, top, value >= top, near) | told
        for threads in THREADS:
            times = {
                model.name: medians
                for model in rivals
                if (medians := cells[model.name, engine].medians_ns.get(threads))
            }
            if ours.name in times:
                yield _timed(f"p50, {engine}, {threads} threads", ours.name, times)


def _timed(column: str, name: str, times: dict[str, list[float]]) -> dict[str, Any]:
    value = {row: statistics.median(medians) / 1e6 for row, medians in times.items()}
    best = min(value, key=lambda row: value[row])
    found = ratio(times[name], times[best])
    interval = found["ci95"] if found else None
    near = interval is not None and interval.low <= 1.01
    entry = _entry(column, value[name], best, value[best], best == name, near)
    return entry | {"to_best": found}


def _plain(ours: Model, rivals: Sequence[Model], cells: Cells) -> Iterator[dict[str, Any]]:
    def size(engine: str) -> Callable[[Model], float | None]:
        return lambda m: cells[m.name, engine].size_bytes if cells[m.name, engine].engine else None

    columns: dict[str, Callable[[Model], float | None]] = {
        **{f"bytes, {engine}": size(engine) for engine in ENGINES},
        "seconds": lambda model: model.about.get("seconds"),
        "lines": lambda model: model.about.get("lines"),
    }
    for column, of in columns.items():
        values = {model.name: value for model in rivals if (value := of(model)) is not None}
        if ours.name in values:
            best = min(values, key=lambda name: values[name])
            mine, top = values[ours.name], values[best]
            yield _entry(column, mine, best, top, mine <= top, False)


def _entry(
    column: str, value: float, best: str, top: float, first: bool, near: bool
) -> dict[str, Any]:
    standing = "best" if first else "within noise" if near else "behind"
    return {
        "column": column,
        "value": value,
        "best": best,
        "best_value": top,
        "standing": standing,
    }
